//! Pseudorandom numbers from a hash, identical on every machine and in every run.

/// Hashes the parts to a uniformly distributed number.
pub fn of(parts: &[&str]) -> u64 {
    // The fixed bits of a UUID have different positions in its two halves.
    let (high, low) = cqrs::derived_id(parts).as_u64_pair();
    high ^ low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_remainder_is_equally_frequent() {
        for sides in [2, 3, 4, 100] {
            let mut times = vec![0; sides];
            (0..1000 * sides)
                .for_each(|number| times[(of(&["die", &number.to_string()]) % sides as u64) as usize] += 1);
            assert!(times.iter().all(|times| (800..1200).contains(times)), "{sides} sides: {times:?}");
        }
    }
}
