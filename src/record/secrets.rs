//! Masks what looks like a secret, at every level, in one pass over the text.
//!
//! Recognised: keys by their issuer's prefix, JSON web tokens, PEM private keys, `Bearer` and `Basic`
//! credentials, `password=…` and its like, and the password in a URL. A mask is not a secret itself,
//! so masking twice changes nothing.

use std::borrow::Cow;

/// What stands where a secret stood.
pub const MASK: &str = "[masked]";
/// No shape below is shorter.
const SECRET_BYTES_MIN: usize = 8;

/// Keys by issuer: prefix, and how many characters of a key follow at least.
const ISSUED: &[(&str, usize)] = &[
    ("sk-ant-", 10),     // Anthropic
    ("sk-", 20),         // OpenAI, and others in its manner
    ("sk_live_", 16),    // Stripe
    ("rk_live_", 16),    //
    ("AKIA", 16),        // AWS
    ("ASIA", 16),        //
    ("ABIA", 16),        //
    ("ACCA", 16),        //
    ("ghp_", 20),        // GitHub
    ("gho_", 20),        //
    ("ghu_", 20),        //
    ("ghs_", 20),        //
    ("ghr_", 20),        //
    ("github_pat_", 20), //
    ("glpat-", 16),      // GitLab
    ("glsa_", 20),       // Grafana
    ("glc_", 20),        //
    ("xoxa-", 10),       // Slack
    ("xoxb-", 10),       //
    ("xoxc-", 10),       //
    ("xoxd-", 10),       //
    ("xoxe-", 10),       //
    ("xoxp-", 10),       //
    ("xoxr-", 10),       //
    ("xoxs-", 10),       //
    ("xapp-", 10),       //
    ("AIza", 30),        // Google
    ("ya29.", 20),       //
    ("GOCSPX-", 20),     //
    ("npm_", 30),        // npm
    ("hf_", 30),         // Hugging Face
];

/// Names whose value is a secret, in lower case.
const NAMED: &[&str] = &[
    "access_key",
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth_token",
    "authtoken",
    "aws_secret_access_key",
    "client_secret",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "pwd",
    "refresh_token",
    "secret",
    "secret_key",
    "token",
];

/// The bytes that a shape can begin with: most of a text is passed over by this table alone.
const BEGINS: [bool; 256] = {
    let first = b"-:AaBbCcGghnPpRrSsTtexy";
    let mut begins = [false; 256];
    let mut index = 0;
    while index < first.len() {
        begins[first[index] as usize] = true;
        index += 1;
    }
    begins
};

/// The text with [`MASK`] for every secret in it.
pub fn mask(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if bytes.len() < SECRET_BYTES_MIN {
        return Cow::Borrowed(text);
    }
    let mut masked = String::new();
    let mut copied = 0;
    let mut scan = Scan { text, bytes, not_jwt_before: 0 };
    let mut at = 0;
    while at < bytes.len() {
        let begins = BEGINS[usize::from(bytes[at])].then(|| scan.secret_at(at)).flatten();
        let Some((from, to)) = begins else {
            at += 1;
            continue;
        };
        masked.push_str(&text[copied..from]);
        masked.push_str(MASK);
        copied = to;
        at = to.max(at + 1);
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(&text[copied..]);
    Cow::Owned(masked)
}

/// Whether a value is a secret because of its name: `password`, `API_KEY`, `db_password`.
pub fn is_named(name: &str) -> bool {
    let name = name.trim_end_matches([' ', '"', '\'', '\\']).as_bytes();
    NAMED.iter().any(|named| {
        name.len().checked_sub(named.len()).is_some_and(|at| {
            let inside_word = at > 0 && name[at - 1].is_ascii_alphanumeric();
            !inside_word && name[at..].eq_ignore_ascii_case(named.as_bytes())
        })
    })
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// No web token starts before this place: a run of its characters is looked at once.
    not_jwt_before: usize,
}

impl Scan<'_> {
    /// The range of the secret that begins, or whose name begins, here.
    fn secret_at(&mut self, at: usize) -> Option<(usize, usize)> {
        let byte = self.bytes[at];
        if byte == b':' {
            return self.url_password(at);
        }
        if byte == b'-' {
            return self.private_key(at);
        }
        let inside_word = at > 0 && self.bytes[at - 1].is_ascii_alphanumeric();
        if inside_word {
            return None;
        }
        match byte {
            b's' | b'r' | b'g' | b'x' | b'y' | b'n' | b'h' | b'A' | b'G' => {
                self.issued(at).or_else(|| self.named(at))
            }
            b'e' => self.web_token(at),
            b'b' | b'B' => self.credentials(at),
            _ => self.named(at),
        }
    }

    fn issued(&self, at: usize) -> Option<(usize, usize)> {
        let rest = &self.bytes[at..];
        let issued = ISSUED.iter().filter(|(prefix, _)| rest.starts_with(prefix.as_bytes()));
        for (prefix, length_min) in issued {
            let from = at + prefix.len();
            // Dots and dashes can end a sentence; a key's own come before its last letter.
            let to = self.run(from, is_key_byte);
            if to - from >= *length_min {
                return Some((at, to));
            }
        }
        None
    }

    fn web_token(&mut self, at: usize) -> Option<(usize, usize)> {
        if at < self.not_jwt_before || !self.bytes[at..].starts_with(b"eyJ") {
            return None;
        }
        let header = self.run(at, is_key_byte);
        let payload = self.run(header + 1, is_key_byte);
        if self.bytes.get(header) != Some(&b'.') || payload < header + 11 || header < at + 10 {
            self.not_jwt_before = header;
            return None;
        }
        let signed = self.bytes.get(payload) == Some(&b'.');
        Some((at, if signed { self.run(payload + 1, is_key_byte) } else { payload }))
    }

    fn private_key(&self, at: usize) -> Option<(usize, usize)> {
        const BEGIN: &str = "-----BEGIN ";
        const LABEL_BYTES_MAX: usize = 64;
        let rest = self.text.get(at..)?.strip_prefix(BEGIN)?;
        let label = &rest[..rest.floor_char_boundary(LABEL_BYTES_MAX)];
        let (label, _) = label.split_once("-----")?;
        if !label.ends_with("PRIVATE KEY") && !label.ends_with("PRIVATE KEY BLOCK") {
            return None;
        }
        let end = rest.find("-----END ").and_then(|end| {
            let after = end + "-----END ".len();
            rest[after..].find("-----").map(|dashes| after + dashes + 5)
        });
        Some((at, at + BEGIN.len() + end.unwrap_or(rest.len())))
    }

    /// `Bearer TOKEN`, `Basic BASE64`: masked if it does not read like a word.
    fn credentials(&self, at: usize) -> Option<(usize, usize)> {
        let scheme = ["bearer", "basic"].into_iter().find(|scheme| self.is_word(at, scheme))?;
        let from = self.run(at + scheme.len(), |byte| matches!(byte, b' ' | b':' | b'\t'));
        if from == at + scheme.len() {
            return None;
        }
        let to = self.run(from, |byte| is_key_byte(byte) || b".~+/=".contains(&byte));
        let token = &self.bytes[from..to];
        let looks_random = token.iter().any(|byte| byte.is_ascii_digit() || b"=+/_".contains(byte))
            || token.iter().skip(1).any(u8::is_ascii_uppercase)
            || token.len() >= 24;
        (token.len() >= SECRET_BYTES_MIN && looks_random).then_some((from, to))
    }

    /// `password=…`, `"api_key": "…"`, `token=…`.
    fn named(&self, at: usize) -> Option<(usize, usize)> {
        const VALUE_BYTES_MIN: usize = 4;
        let name = NAMED.iter().find(|name| self.is_word(at, name))?;
        let after = self.run(at + name.len(), |byte| matches!(byte, b'"' | b'\'' | b'\\' | b' '));
        let sign = *self.bytes.get(after)?;
        if sign != b'=' && sign != b':' {
            return None;
        }
        let blank = |byte| matches!(byte, b'"' | b'\'' | b'\\' | b' ' | b'=');
        let from = self.run(after + 1, blank);
        let to = self
            .run(from, |byte| !byte.is_ascii_whitespace() && !b"\"'\\&;,<>(){}".contains(&byte));
        // Prose: "unexpected token: end of input".
        let prose = sign == b':' && self.bytes[from..to].iter().all(u8::is_ascii_lowercase);
        let quoted = self.bytes[after + 1..from].iter().any(|byte| matches!(byte, b'"' | b'\''));
        (to - from >= VALUE_BYTES_MIN && (quoted || !prose)).then_some((from, to))
    }

    /// `scheme://user:PASSWORD@host`.
    fn url_password(&self, at: usize) -> Option<(usize, usize)> {
        let from = self.bytes[at..].starts_with(b"://").then_some(at + 3)?;
        let authority =
            self.run(from, |byte| !byte.is_ascii_whitespace() && !b"/?#\"'<>\\`".contains(&byte));
        let host = self.bytes[from..authority].iter().rposition(|byte| *byte == b'@')? + from;
        let colon = self.bytes[from..host].iter().position(|byte| *byte == b':')? + from;
        (colon + 1 < host).then_some((colon + 1, host))
    }

    /// Whether this word, in any case, stands here and ends here.
    fn is_word(&self, at: usize, word: &str) -> bool {
        let end = at + word.len();
        self.bytes.get(at..end).is_some_and(|here| here.eq_ignore_ascii_case(word.as_bytes()))
            && !self.bytes.get(end).is_some_and(|byte| is_key_byte(*byte))
    }

    /// Where the run of such bytes that starts at `from` ends.
    fn run(&self, from: usize, part: impl Fn(u8) -> bool) -> usize {
        let from = from.min(self.bytes.len());
        let rest = &self.bytes[from..];
        from + rest.iter().position(|byte| !part(*byte)).unwrap_or(rest.len())
    }
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let check = |text: &str, expect: &str| assert_eq!(mask(text), expect, "{text}");
        check("key sk-ant-api03-AbCdEf_123456-x, ok", "key [masked], ok");
        check("sk-proj-0123456789abcdefghijKLMN", "[masked]");
        check("id=AKIAIOSFODNN7EXAMPLE.", "id=[masked].");
        check("(ghp_0123456789abcdefghij0123456789abcdef)", "([masked])");
        check("x github_pat_11ABCDEFG0abcdefghij_x y", "x [masked] y");
        check("xoxb-123456789012-abcdefghij", "[masked]");
        check("AIzaSyA1234567890abcdefghijklmnopqrstuv", "[masked]");
        check("t eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.sig-nature_ z", "t [masked] z");
        check(
            "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b",
            "a [masked] b",
        );
        check("a -----BEGIN OPENSSH PRIVATE KEY-----\nMIIE and no end", "a [masked]");
        check("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [masked]");
        check("authorization: basic dXNlcjpwYXNz", "authorization: basic [masked]");
        check(
            "https://host/x?user=a&password=hunter2&b=c",
            "https://host/x?user=a&password=[masked]&b=c",
        );
        check("postgres://app:s3cr3t@db:5432/x", "postgres://app:[masked]@db:5432/x");
        check(r#"{"password":"hunter2","a":1}"#, r#"{"password":"[masked]","a":1}"#);
        check(r#"{\"api_key\": \"abcd-1234\"}"#, r#"{\"api_key\": \"[masked]\"}"#);
        check("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=[masked]");
        check("DB_PASSWORD=correct-horse", "DB_PASSWORD=[masked]");
    }

    #[test]
    fn a_name_alone_tells_a_secret_as_it_does_within_a_text() {
        let names = ["password", "API_KEY", "db_password", "x-token", "pwd ", "apiKey"];
        for name in names.into_iter().chain(["passwords", "keypwd", "token_count", "monkey", ""]) {
            let text = format!("{{\"{name}\":\"hunter2\"}}");
            assert_eq!(is_named(name), mask(&text) != text, "{name}");
        }
    }

    #[test]
    fn every_shape_begins_with_a_byte_of_the_table() {
        let names = NAMED.iter().flat_map(|name| [(*name).to_owned(), name.to_uppercase()]);
        for shape in ISSUED.iter().map(|(prefix, _)| (*prefix).to_owned()).chain(names) {
            assert!(BEGINS[usize::from(shape.as_bytes()[0])], "{shape}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let check = |text: &str| assert_eq!(mask(text), text);
        check("claude-opus-4-8");
        check("a task-0123456789abcdefghijklmnop is done");
        check("f4ff8e3d-9c91-4d01-bf06-7a774143e073");
        check("toolu_01A09q90qw90lq917835lq9");
        check("basic authentication and bearer of bad news");
        check("unexpected token: end of input");
        check("-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----");
        check("https://user@host/path and http://host:80/x@y");
        check("eyJ is how they start; eyJhbGciOiJIUzI1NiJ9 alone is none");
        check("ünïcödé – … 日本語 sk-");
    }

    #[test]
    fn a_megabyte_of_beginnings_takes_one_pass() {
        for beginning in ["eyJaaaaaaaa-", "-----BEGIN ", "password", "://a:", "bearer ", "sk-"] {
            let text = beginning.repeat(1_000_000 / beginning.len());
            let began = std::time::Instant::now();
            let _ = mask(&text);
            assert!(began.elapsed() < std::time::Duration::from_secs(2), "{beginning}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_masked(
            text in "(password=|://|:|@|bearer |eyJ|[.]|-----BEGIN RSA PRIVATE KEY-----|-----END |\\PC|[é日]){0,40}"
        ) {
            let masked = mask(&text);
            prop_assert!(masked.contains(MASK) || masked == text);
        }

        #[test]
        fn masking_twice_changes_nothing(
            text in "(sk-ant-|eyJ|bearer |password=|://a:|@|-----BEGIN X PRIVATE KEY-----|[ -~]|é|\\n|[a-zA-Z0-9]{8,20}){0,12}"
        ) {
            let once = mask(&text).into_owned();
            prop_assert_eq!(mask(&once).into_owned(), once);
        }
    }
}
