//! Keys that clients prove themselves with.
//!
//! A file of keys holds a line for each: a name, the SHA-256 of the key, and at will how many requests a minute it may
//! make. The keys themselves are nowhere, and comparing takes as long whatever was sent.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::error::{ErrorType, Refusal, ServeError};

/// Known keys.
#[derive(Debug)]
pub struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    name: String,
    hash: [u8; 32],
    rate: Option<Rate>,
}

/// As many requests as fit into a minute at once, then one as often as the rate has room again.
#[derive(Debug)]
struct Rate {
    per_minute: f64,
    /// Requests that are left, and when that was so.
    left: Mutex<(f64, Duration)>,
}

impl Keys {
    /// Reads a file of keys: `NAME SHA256 [REQUESTS_A_MINUTE]` on each line, `#` begins a remark.
    ///
    /// # Errors
    /// [`ServeError::Key`] at the first line that is neither, or if there is no key at all.
    pub fn parse(text: &str) -> Result<Keys, ServeError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let refused = |problem: String| ServeError::Key { line: line_number, problem };
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            let (name, hash, rate) = match words[..] {
                [] => continue,
                [name, hash] => (name, hash, None),
                [name, hash, rate] => {
                    let per_minute = rate.parse::<u32>().ok().filter(|&rate| rate > 0);
                    let per_minute =
                        per_minute.ok_or_else(|| refused(format!("`{rate}` is not a number of requests a minute")))?;
                    let per_minute = f64::from(per_minute);
                    (name, hash, Some(Rate { per_minute, left: Mutex::new((per_minute, Duration::ZERO)) }))
                }
                _ => return Err(refused(format!("{} words", words.len()))),
            };
            let hash = digits(hash).ok_or_else(|| refused("expected a SHA-256 of 64 hexadecimal digits".into()))?;
            keys.push(Key { name: name.to_owned(), hash, rate });
        }
        if keys.is_empty() {
            return Err(ServeError::Key { line: 1, problem: "there is no key".into() });
        }
        Ok(Keys(keys))
    }

    /// The name of the key in an `Authorization` header, if it is known and has requests left at this time.
    pub(crate) fn check(&self, authorization: Option<&[u8]>, now: Duration) -> Result<&str, Refusal> {
        let given =
            authorization.and_then(|header| header.strip_prefix(b"Bearer ").or(header.strip_prefix(b"bearer ")));
        let Some(given) = given else {
            let way_out = "this server wants a key: send `Authorization: Bearer KEY`";
            return Err(Refusal::new(ErrorType::Unauthorized, way_out));
        };
        let hash: [u8; 32] = Sha256::digest(given.trim_ascii()).into();
        // All are compared, so that the time tells nothing.
        let mut found = u32::MAX;
        for (index, key) in (0_u32..).zip(&self.0) {
            let is_equal: Choice = key.hash.ct_eq(&hash);
            found = u32::conditional_select(&found, &index, is_equal);
        }
        let Some(key) = self.0.get(found as usize) else {
            return Err(Refusal::new(ErrorType::Unauthorized, "this key is not known here: ask the operator for one"));
        };
        if let Some(rate) = &key.rate {
            let mut left = rate.left.lock().unwrap_or_else(PoisonError::into_inner);
            let since = now.saturating_sub(left.1).as_secs_f64();
            let available = (left.0 + since * rate.per_minute / 60.0).min(rate.per_minute);
            if available < 1.0 {
                *left = (available, now);
                let seconds = ((1.0 - available) * 60.0 / rate.per_minute).ceil().max(1.0) as u64;
                let said = format!("this key may make {} requests a minute: come back later", rate.per_minute);
                return Err(Refusal::new(ErrorType::Overloaded, said).after(seconds));
            }
            *left = (available - 1.0, now);
        }
        Ok(&key.name)
    }
}

/// Bytes of 64 hexadecimal digits.
fn digits(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    // SHA-256 of `secret` and of `other`.
    const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    const OTHER: &str = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";

    #[test]
    fn only_known_keys_come_in() {
        let keys =
            Keys::parse(&format!("# ours\n\nann {SECRET}\nbob {} 60 # a minute\n", OTHER.to_uppercase())).unwrap();
        let name = |header: &str| keys.check(Some(header.as_bytes()), Duration::ZERO).map_err(|refusal| refusal.status);
        assert_eq!(name("Bearer secret"), Ok("ann"));
        assert_eq!(name("Bearer other"), Ok("bob"));
        for wrong in ["Bearer Secret", "Bearer ", "secret", "Basic secret", SECRET] {
            assert_eq!(name(wrong), Err(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        assert!(keys.check(None, Duration::ZERO).is_err());
    }

    #[test]
    fn a_key_has_a_rate() {
        let keys = Keys::parse(&format!("ann {SECRET} 2")).unwrap();
        let check =
            |seconds| keys.check(Some(b"Bearer secret"), Duration::from_secs(seconds)).map_err(|r| r.retry_after);
        assert!(check(100).is_ok() && check(100).is_ok());
        assert_eq!(check(100), Err(Some(30)));
        assert_eq!(check(115), Err(Some(15)));
        assert!(check(130).is_ok());
        assert!(check(130).is_err());
        // A pause buys no more than a minute's worth.
        assert!(check(4000).is_ok() && check(4000).is_ok() && check(4000).is_err());
    }

    #[test]
    fn a_bad_file_is_refused_with_its_line() {
        for (text, said) in [
            ("", "no key"),
            ("# nothing\n", "no key"),
            ("ann", "line 1"),
            ("ann secret", "line 1"),
            (&format!("ann {SECRET}\nbob {OTHER} 0"), "line 2"),
            (&format!("ann {SECRET} 1 2"), "4 words"),
            (&format!("ann {}é", &SECRET[..62]), "64 hexadecimal digits"),
        ] {
            let error = Keys::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
