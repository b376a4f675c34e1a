//! Certificates, made for one test.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use tempfile::TempDir;

/// An authority, and a directory with what it signs: `ca.crt`, `tls.crt`, `tls.key`.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// Until when, in years.
pub const VALID: (i32, i32) = (2020, 2100);
pub const EXPIRED: (i32, i32) = (2020, 2021);

impl Authority {
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let authority = Self { issuer, directory: TempDir::new()? };
        std::fs::write(authority.path("ca.crt"), authority.pem())?;
        Ok(authority)
    }

    /// With a certificate for a gateway on this address.
    pub fn for_gateway(address: &str) -> Result<Self> {
        let authority = Self::new("an authority")?;
        authority.renew(address)?;
        Ok(authority)
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A new certificate in the place of the one before, as cert-manager writes it.
    pub fn renew(&self, address: &str) -> Result<()> {
        let server = self.signs(address, &[address], VALID, ExtendedKeyUsagePurpose::ServerAuth)?;
        std::fs::write(self.path("tls.crt"), server.certificate)?;
        std::fs::write(self.path("tls.key"), server.key)?;
        Ok(())
    }

    /// A client's, with this common name.
    pub fn client(&self, common_name: &str, years: (i32, i32)) -> Result<Identity> {
        self.signs(common_name, &[], years, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn signs(
        &self,
        common_name: &str,
        names: &[&str],
        years: (i32, i32),
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}
