//! Certificates for tests, made anew for each.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, date_time_ymd,
};
use roundtrip_tls::{Acceptor, Connector, Identity};
pub use rustls;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Signs certificates. Ed25519, because its signatures are all of one length.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
pub struct Signed {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    #[allow(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        // Each has a name of its own, and all are of one length.
        let own = key.public_key_raw().iter().map(|byte| char::from(b'a' + byte % 16)).collect::<String>();
        params.distinguished_name = name(&own);
        params.serial_number = Some(1.into());
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, params: CertificateParams) -> Signed {
        self.sign_key(params, &KeyPair::generate_for(&PKCS_ED25519).unwrap())
    }

    fn sign_key(&self, mut params: CertificateParams, key: &KeyPair) -> Signed {
        params.serial_number = Some(2.into());
        let certificate = params.signed_by(key, &self.issuer).unwrap().pem();
        Signed { certificate, key: key.serialize_pem() }
    }

    pub fn server(&self) -> Signed {
        self.sign(CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap())
    }

    pub fn valid(&self, from: i32, to: i32) -> Signed {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        self.sign(params)
    }

    pub fn client(&self) -> Signed {
        let mut params = CertificateParams::default();
        params.distinguished_name = name("a client");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign_key(params, &p256())
    }

    /// One that OpenSSL 3.0 can show as well: it reads no Ed25519 key of this form.
    pub fn foreign_server(&self) -> Signed {
        self.sign_key(
            CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap(),
            &p256(),
        )
    }

    /// A server of rustls itself, with a certificate of this authority.
    pub fn rustls_server(&self) -> Arc<rustls::ServerConfig> {
        let signed = self.server();
        let certificate = CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key);
        Arc::new(config.unwrap())
    }

    /// A client of rustls itself, which trusts this authority.
    pub fn rustls_client(&self) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    pub fn acceptor(&self) -> Acceptor {
        Acceptor::new(self.server().identity()).unwrap()
    }

    pub fn connector(&self) -> Connector {
        Connector::new(self.pem.as_bytes()).unwrap()
    }
}

impl Signed {
    pub fn identity(&self) -> Identity {
        Identity::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn name(of: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, of);
    name
}
