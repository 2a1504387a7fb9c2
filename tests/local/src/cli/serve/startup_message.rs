//! The startup message: addresses, routes, and a first request to try.

use std::net::{IpAddr, Ipv4Addr};

use super::{DYNAMODB_PORT, OnOff, ServeOptions};
use crate::Stack;

pub(super) fn text(stack: &Stack, port: u16, endpoint: &str, options: &ServeOptions) -> String {
    let url = format!("http://{}:{port}", host(options.listen));
    let mut lines = vec![format!("{} at {url}, DynamoDB at {endpoint}.", stack.deployment.name)];
    if let Some(lambda) = &options.lambda {
        lines.push(format!("Invoking the functions at {lambda}. Set their AWS_ENDPOINT_URL_DYNAMODB to {endpoint}."));
        if !stack.template.queues.is_empty() {
            let services = "AWS_ENDPOINT_URL_EVENTBRIDGE, AWS_ENDPOINT_URL_SQS and AWS_ENDPOINT_URL_SCHEDULER";
            lines.push(format!("Set their {services} to {url}/aws."));
        }
    }
    lines.extend(port_hint(endpoint, options));
    if options.projector == OnOff::Off {
        lines.push(
            "The projector is off: views are not updated, and queries fold the missing commits in memory.".to_owned(),
        );
    }
    if let Some(seed) = options.chaos {
        lines.push(format!("Chaos {seed} injects faults into the stream, the queues and the calls to AWS."));
    }
    lines.push(String::new());
    let mut routes: Vec<_> = stack.template.functions.values().flat_map(|function| &function.routes).collect();
    routes.sort_by_key(|route| (&route.path, &route.method));
    lines.extend(routes.into_iter().map(|route| format!("  {:4} {}", route.method, route.path)));
    lines.push(String::new());
    lines.push(format!("The API is described at {url}/docs, where you can try it in a browser.\n"));
    let example = &stack.deployment.example;
    let authorization = if options.auth {
        lines.push("Requests without a token are refused. Try:\n".to_owned());
        let token = format!("cargo local token --sub {} --scope '{}'", example.caller, example.scopes);
        lines.push(format!("  TOKEN=$({token} --url {url})"));
        " -H \"Authorization: Bearer $TOKEN\""
    } else {
        lines.push("Requests without a token act as an operator with all scopes. Try:\n".to_owned());
        ""
    };
    let headers = "-H 'Content-Type: application/json' -H 'Idempotency-Key: first'";
    let path = stack.deployment.path(example.operation).unwrap_or_default();
    lines.push(format!("  curl -i {url}{path}{authorization} {headers} -d '{}'\n", example.body));
    lines.push(last_line(endpoint, options));
    lines.join("\n")
}

/// The host of the URL that is shown. Without an address, the system listens on localhost.
fn host(listen: Option<IpAddr>) -> String {
    match listen {
        None | Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) => "localhost".to_owned(),
        Some(address) if address.is_unspecified() => "localhost".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("[{address}]"),
    }
}

fn last_line(endpoint: &str, options: &ServeOptions) -> String {
    match (&options.dynamodb, &options.data) {
        (Some(_), _) => format!("Press Ctrl-C to stop. The data stays in the DynamoDB at {endpoint}."),
        (None, Some(directory)) => format!("Press Ctrl-C to stop. The data stays in {}.", directory.display()),
        (None, None) => "Press Ctrl-C to stop. All data is then discarded.".to_owned(),
    }
}

/// The command that makes `cargo lambda watch` use these tables. `None` if it uses them by default.
fn port_hint(endpoint: &str, options: &ServeOptions) -> Option<String> {
    if endpoint.ends_with(&format!(":{DYNAMODB_PORT}")) {
        return None;
    }
    let is_chosen = options.dynamodb.is_some() || options.dynamodb_port.is_some();
    let reason = if is_chosen { String::new() } else { format!("Port {DYNAMODB_PORT} is in use. ") };
    Some(format!(
        "{reason}`cargo lambda watch` would use the tables at port {DYNAMODB_PORT}. With these tables:\n\n  {}",
        watch_command(endpoint)
    ))
}

/// `cargo lambda watch` prefers Cargo.toml to `--env-var` and to its own environment, and cargo's `env` to Cargo.toml.
fn watch_command(endpoint: &str) -> String {
    let variable = "env.AWS_ENDPOINT_URL_DYNAMODB";
    format!("cargo lambda watch --config '{variable}.value=\"{endpoint}\"' --config {variable}.force=true")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        options: ServeOptions,
    }

    #[test]
    fn the_last_line_says_what_happens_to_the_data() {
        let last = |arguments: &[&str]| {
            let options = Cli::parse_from([&["local"], arguments].concat()).options;
            last_line("http://localhost:5000", &options)
        };
        assert!(last(&[]).ends_with("All data is then discarded."));
        assert!(last(&["--data", "here"]).ends_with("The data stays in here."));
        let remote = last(&["--dynamodb", "http://localhost:5000"]);
        assert!(remote.ends_with("The data stays in the DynamoDB at http://localhost:5000."));
    }

    #[test]
    fn the_host_is_that_of_a_url() {
        let of = |address: &str| host(Some(address.parse().unwrap()));
        assert_eq!(
            (host(None), of("0.0.0.0"), of("::"), of("127.0.0.1")),
            ("localhost".into(), "localhost".into(), "localhost".into(), "localhost".into())
        );
        assert_eq!((of("192.168.1.5"), of("fe80::1")), ("192.168.1.5".into(), "[fe80::1]".into()));
        assert_eq!((of("127.0.0.2"), of("::1")), ("127.0.0.2".into(), "[::1]".into()));
    }

    fn hint(endpoint: &str, arguments: &[&str]) -> Option<String> {
        port_hint(endpoint, &Cli::parse_from([&["local"], arguments].concat()).options)
    }

    #[test]
    fn the_default_port_needs_no_hint() {
        assert_eq!(hint("http://127.0.0.1:8000", &[]), None);
        assert_eq!(hint("http://localhost:8000", &["--dynamodb", "http://localhost:8000"]), None);
    }

    #[test]
    fn another_port_is_shown_with_the_command_that_uses_it() {
        let expected = "`cargo lambda watch` would use the tables at port 8000. With these tables:\n\n  \
            cargo lambda watch --config 'env.AWS_ENDPOINT_URL_DYNAMODB.value=\"http://127.0.0.1:4321\"' \
            --config env.AWS_ENDPOINT_URL_DYNAMODB.force=true";
        assert_eq!(hint("http://127.0.0.1:4321", &["--dynamodb-port", "4321"]).unwrap(), expected);
        assert_eq!(hint("http://127.0.0.1:4321", &[]).unwrap(), format!("Port 8000 is in use. {expected}"));
    }
}
