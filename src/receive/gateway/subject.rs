//! The names in a certificate, by which a sender is known.
//!
//! webpki reads the DNS and URI names, and hands the subject over as it lies there. Its common name is
//! looked for here: `SEQUENCE { SET { SEQUENCE { OID, string } … } … }` (X.501, in DER).

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
/// UTF8String, PrintableString, IA5String: all of them UTF-8 when read.
const STRINGS: [u8; 3] = [0x0c, 0x13, 0x16];

/// Common name, DNS names, URI names; empty where it cannot be read.
pub fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(parsed) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    let alternative = parsed.valid_dns_names().chain(parsed.valid_uri_names());
    common_name(parsed.subject()).into_iter().chain(alternative.map(str::to_owned)).collect()
}

/// The last common name of a subject, which is its most specific. webpki leaves the outer sequence off.
fn common_name(subject: &[u8]) -> Option<String> {
    let inside = match element(subject)? {
        (SEQUENCE, content, []) => content,
        _ => subject,
    };
    let mut found = None;
    let mut rest = inside;
    while let Some((SET, set, after)) = element(rest) {
        rest = after;
        let mut pairs = set;
        while let Some((SEQUENCE, pair, after)) = element(pairs) {
            pairs = after;
            if let Some((OID, kind, value)) = element(pair)
                && kind == COMMON_NAME
                && let Some((tag, text, _)) = element(value)
                && STRINGS.contains(&tag)
            {
                found = std::str::from_utf8(text).ok().map(str::to_owned).or(found);
            }
        }
    }
    found
}

/// Tag, content, and what comes after. Lengths are below 64 KiB here.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            (usize::from(length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_certificate_is_known_by_its_common_name_and_its_others() {
        let mut params = CertificateParams::new(vec!["ci.example.com".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, "ci-shop");
        let uri = "spiffe://example.com/ci".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(
            names(certificate.der()),
            ["ci-shop", "ci.example.com", "spiffe://example.com/ci"]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = common_name(&bytes);
        }
    }
}
