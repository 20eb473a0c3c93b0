//! Certificates for the tests, made when they run.

use std::path::PathBuf;

use gristmill_rpc::{ClientTlsConfig, TlsConfig};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};

/// When a certificate is good.
#[derive(Clone, Copy)]
pub(super) enum When {
    Now,
    Past,
    Future,
}

/// A CA with a folder for the files it gives out.
pub(super) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Ca {
    pub(super) fn new() -> Self {
        Self::named("the CA of the tests")
    }

    pub(super) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `file.pem` and `file.key`: a certificate for `names` (`spiffe://…` among them).
    pub(super) fn give(&self, file: &str, names: &[&str], when: When) {
        let (uris, dns): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains("://"));
        let mut params = CertificateParams::new(dns.into_iter().map(str::to_owned).collect::<Vec<_>>()).unwrap();
        params.subject_alt_names.extend(uris.into_iter().map(|uri| SanType::URI(uri.try_into().unwrap())));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let (from, until) = match when {
            When::Now => (2020, 2080),
            When::Past => (2020, 2021),
            When::Future => (2080, 2081),
        };
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        // Renamed into place, as mounted secrets are.
        for (name, text) in [("key", key.serialize_pem()), ("pem", certificate.pem())] {
            let new = self.file("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, self.file(&format!("{file}.{name}"))).unwrap();
        }
    }

    /// A server with the certificate `file`.
    pub(super) fn server(&self, file: &str) -> TlsConfig {
        let (cert, key) = (self.file(&format!("{file}.pem")), self.file(&format!("{file}.key")));
        TlsConfig { cert: Some(cert), key: Some(key), ..TlsConfig::default() }
    }

    /// The same with client certificates of this CA.
    pub(super) fn mutual(&self, file: &str) -> TlsConfig {
        TlsConfig { client_ca: Some(self.file("ca.pem")), ..self.server(file) }
    }

    /// A client that trusts this CA.
    pub(super) fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig { ca: Some(self.file("ca.pem")), ..ClientTlsConfig::default() }
    }

    /// A client that shows the certificate `file`.
    pub(super) fn client_as(&self, file: &str) -> ClientTlsConfig {
        let (cert, key) = (self.file(&format!("{file}.pem")), self.file(&format!("{file}.key")));
        ClientTlsConfig { cert: Some(cert), key: Some(key), ..self.client() }
    }
}
