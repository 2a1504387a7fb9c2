//! The sockets of a server.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::TcpListener;

/// The maximum number of ports to try until one is free at both addresses of localhost.
const ATTEMPTS: usize = 20;

/// The sockets of a server, all at one port.
pub(super) struct Listeners {
    /// The address of the first socket.
    pub(super) address: SocketAddr,
    pub(super) sockets: Vec<TcpListener>,
}

/// Listens at a port that `option` sets; 0 is any free port.
///
/// Without an address, it listens on localhost: on 127.0.0.1, and on ::1 unless the machine has no IPv6. Some clients
/// resolve `localhost` to ::1 and do not try the other address.
pub(super) async fn listen(address: Option<IpAddr>, port: u16, option: &str) -> Result<Listeners, String> {
    let listeners = match address {
        Some(address) => bind(address, port).await,
        None => localhost(port).await,
    };
    listeners.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!("port {port} is in use. Choose another one with {option}."),
        _ => format!("listening on port {port} failed: {error}. Choose another one with {option}."),
    })
}

async fn bind(address: IpAddr, port: u16) -> io::Result<Listeners> {
    let socket = TcpListener::bind((address, port)).await?;
    Ok(Listeners { address: socket.local_addr()?, sockets: vec![socket] })
}

async fn localhost(port: u16) -> io::Result<Listeners> {
    let mut attempts = 0;
    loop {
        let Listeners { address, mut sockets } = bind(Ipv4Addr::LOCALHOST.into(), port).await?;
        match TcpListener::bind((Ipv6Addr::LOCALHOST, address.port())).await {
            Ok(socket) => sockets.push(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                attempts += 1;
                if port != 0 || attempts == ATTEMPTS {
                    return Err(error);
                }
                // The free port of one address is in use at the other one.
                continue;
            }
            // The machine has no IPv6.
            Err(_) => {}
        }
        return Ok(Listeners { address, sockets });
    }
}
