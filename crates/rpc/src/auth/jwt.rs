//! Signed tokens in compact form (RFC 7515, RFC 7519): taken apart and their signature checked with `ring`.
//! Nothing in a token is believed before that, and a token never says where its key is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Longest token, bytes.
const TOKEN_BYTES: usize = 16 << 10;

/// How a token may be signed. There is no `none`, and nothing with a shared secret: a public key could be
/// passed off as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, keys of 2,048 to 8,192 bits.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::RS256, Self::ES256, Self::EdDSA];

    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::RS256),
            "ES256" => Some(Self::ES256),
            "EdDSA" => Some(Self::EdDSA),
            _ => None,
        }
    }
}

/// A key that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    Rsa {
        /// Modulus, big endian, without leading zeros.
        n: Vec<u8>,
        /// Exponent, likewise.
        e: Vec<u8>,
    },
    /// Uncompressed point: 4, x, y.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl PublicKey {
    /// The one algorithm it is for.
    pub(super) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::RS256,
            Self::P256(_) => Algorithm::ES256,
            Self::Ed25519(_) => Algorithm::EdDSA,
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signed: &[u8]) -> bool {
        let checked = match self {
            Self::Rsa { n, e } => signature::RsaPublicKeyComponents { n, e }.verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                message,
                signed,
            ),
            Self::P256(point) => {
                signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signed)
            }
            Self::Ed25519(key) => signature::UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signed),
        };
        checked.is_ok()
    }
}

/// A token taken apart, its signature not yet checked.
#[derive(Debug)]
pub(super) struct Unchecked<'a> {
    /// As the header names it.
    pub(super) algorithm: String,
    pub(super) key: Option<String>,
    /// What was signed.
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
    claims: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that a reader must understand; we understand none.
    crit: Option<Value>,
}

/// Whether `token` has the form of a signed token; hashed ones are usually plain text.
pub(super) fn looks_signed(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl<'a> Unchecked<'a> {
    /// Takes `token` apart.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub(super) fn parse(token: &'a str) -> Result<Self, &'static str> {
        if token.len() > TOKEN_BYTES {
            return Err("it is longer than 16 KiB");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("it has not three parts")?;
        let (header, claims) = signed.split_once('.').ok_or("it has not three parts")?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part of it is not base64url");
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| "its header is not that of a signed token")?;
        if header.crit.is_some() {
            return Err("its header wants extensions (`crit`) that are not known here");
        }
        let typ = header.typ.as_deref().unwrap_or("JWT");
        if !["jwt", "at+jwt", "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ)) {
            return Err("its `typ` is not that of an access or identity token");
        }
        let (claims, signature) = (decode(claims)?, decode(signature)?);
        Ok(Self { algorithm: header.alg, key: header.kid, message: signed.as_bytes(), signature, claims })
    }

    /// What it claims; to be asked for once the signature is checked.
    ///
    /// # Errors
    /// The claims are no JSON object.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, &'static str> {
        serde_json::from_slice(&self.claims).map_err(|_| "its claims are not a JSON object")
    }
}

/// Bytes of a number in a key, without leading zeros (`ring` refuses them).
pub(super) fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    bytes.get(start..).map(<[u8]>::to_vec)
}

/// Exactly `length` bytes.
pub(super) fn exactly(text: &str, length: usize) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == length)
}

#[cfg(test)]
mod tests {
    use super::super::keys::KeySet;
    use super::*;

    /// Tokens and keys of the standards: RFC 7515 A.2 and A.3, RFC 8037 A.1 and A.4.
    const RS256_KEY: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
    const RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    const ES256_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    const EDDSA_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    #[test]
    fn the_standards_own_signatures_verify_and_changed_ones_do_not() {
        for (key, token) in [(RS256_KEY, RS256), (ES256_KEY, ES256), (EDDSA_KEY, EDDSA)] {
            let keys = KeySet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).unwrap();
            let unchecked = Unchecked::parse(token).unwrap();
            let algorithm = Algorithm::named(&unchecked.algorithm).unwrap();
            assert_eq!(keys.verifies(algorithm, &unchecked), Some(true), "{algorithm:?}");
            for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
                assert_eq!(keys.verifies(other, &unchecked), None, "a key serves one algorithm");
            }
            for at in [0, unchecked.signature.len() / 2, unchecked.signature.len() - 1] {
                let mut changed = Unchecked::parse(token).unwrap();
                changed.signature[at] ^= 1;
                assert_eq!(keys.verifies(algorithm, &changed), Some(false), "{algorithm:?} {at}");
            }
            let changed = token.replacen("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJ6b2Ui", 1).replacen("RXhhb", "RXhhc", 1);
            assert_eq!(keys.verifies(algorithm, &Unchecked::parse(&changed).unwrap()), Some(false));
        }
        let claims = Unchecked::parse(RS256).unwrap().claims().unwrap();
        assert_eq!(claims["iss"], "joe");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = |header: &str| format!("{}.{}.AA", encoded(header), encoded("{}"));
        assert!(Unchecked::parse(&token(r#"{"alg":"ES256","typ":"at+JWT","kid":"a"}"#)).is_ok());
        let cases = [
            "".to_owned(),
            "a.b".to_owned(),
            "..".to_owned(),
            format!("{}=.e30.AA", encoded("{\"alg\":\"ES256\"}")),
            token("[]"),
            token(r#"{"typ":"JWT"}"#),
            token(r#"{"alg":"ES256","crit":["b64"]}"#),
            token(r#"{"alg":"ES256","typ":"logout+jwt"}"#),
            format!("{}.{}.AA", encoded(r#"{"alg":"ES256"}"#), "a".repeat(TOKEN_BYTES)),
        ];
        for case in cases {
            assert!(Unchecked::parse(&case).is_err(), "{case}");
        }
    }
}
