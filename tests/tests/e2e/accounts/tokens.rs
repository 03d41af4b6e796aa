//! Tokens that are not quite right.

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::Connection;
use serde_json::{Value, json};
use sluice_domain::Reason;
use sluice_proto::v1::GetAccountRequest;
use sluice_tests::{Client, Person, Server, http_get};

/// The key that the server signs tokens with.
struct Key {
    id: String,
    pair: Ed25519KeyPair,
}

impl Key {
    fn of(server: &Server) -> Self {
        let database = Connection::open(server.data_dir().join("sluice.db")).unwrap();
        let (id, secret) = database
            .query_row("SELECT id, secret FROM signing_keys WHERE purpose = 'TOKEN'", [], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .unwrap();
        Self { id: hex::encode(id), pair: Ed25519KeyPair::from_seed_unchecked(&secret).unwrap() }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = signed_part(header, claims);
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes())))
    }
}

fn signed_part(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

fn part(token: &str, index: usize) -> Value {
    let text = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

fn with(value: &Value, key: &str, new: Value) -> Value {
    let mut value = value.clone();
    value[key] = new;
    value
}

fn without(value: &Value, key: &str) -> Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().remove(key).unwrap();
    value
}

async fn is_good(server: &Server, token: &str) -> bool {
    let mut accounts = Client::new(&server.url(), token).accounts;
    match accounts.get_account(GetAccountRequest {}).await {
        Ok(_) => true,
        refused => {
            let status = refused.unwrap_err();
            let reason = sluice_tests::assert_refusal(&status);
            let fine = [Reason::CredentialsInvalid, Reason::TokenExpired, Reason::TokenRevoked];
            assert!(fine.contains(&reason), "{status:?}");
            false
        }
    }
}

#[tokio::test]
async fn only_what_the_server_has_signed_and_says_so_is_a_token() {
    let server = Server::with().embedded().open_to_all().start().await;
    let Person { tokens, device_token, .. } = server.person("ada").await;
    let good = &tokens.access_token;
    let (key, header, claims) = (Key::of(&server), part(good, 0), part(good, 1));
    let signed = |header: &Value, claims: &Value| key.sign(header, claims);
    assert!(is_good(&server, good).await);
    assert!(is_good(&server, &signed(&header, &claims)).await, "this test signs rightly");

    let public = key.pair.public_key().as_ref().to_vec();
    let confused = {
        let text = signed_part(&with(&header, "alg", json!("HS256")), &claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let unsigned =
        |alg: &str| format!("{}.", signed_part(&with(&header, "alg", json!(alg)), &claims));
    let stranger = Key { id: key.id.clone(), pair: Ed25519KeyPair::generate().unwrap() };
    let own = json!({ "kty": "OKP", "crv": "Ed25519",
        "x": URL_SAFE_NO_PAD.encode(stranger.pair.public_key().as_ref()) });
    let now = claims["iat"].as_u64().unwrap();
    let (body, tag) = good.rsplit_once('.').unwrap();
    let wrong = [
        ("no algorithm", unsigned("none")),
        ("no algorithm, in capitals", unsigned("NONE")),
        ("no signature", unsigned("EdDSA")),
        ("the public key as a secret", confused),
        ("another algorithm", signed(&with(&header, "alg", json!("ES256")), &claims)),
        ("no type", signed(&without(&header, "typ"), &claims)),
        ("another type", signed(&with(&header, "typ", json!("JWT")), &claims)),
        (
            "a refresh token's type",
            signed(&with(&header, "typ", json!("sluice-refresh+jwt")), &claims),
        ),
        ("no key", signed(&without(&header, "kid"), &claims)),
        ("an unknown key", signed(&with(&header, "kid", json!("0123456789abcdef")), &claims)),
        ("a path as a key", signed(&with(&header, "kid", json!("../../dev/null")), &claims)),
        ("a key of its own", stranger.sign(&header, &claims)),
        ("a key of its own, enclosed", stranger.sign(&with(&header, "jwk", own), &claims)),
        ("a key elsewhere", signed(&with(&header, "jku", json!("http://127.0.0.1:1/k")), &claims)),
        (
            "certificates elsewhere",
            signed(&with(&header, "x5u", json!("http://127.0.0.1:1/k")), &claims),
        ),
        ("something critical", signed(&with(&header, "crit", json!(["exp"])), &claims)),
        ("another issuer", signed(&header, &with(&claims, "iss", json!("https://example.com")))),
        ("no issuer", signed(&header, &without(&claims, "iss"))),
        ("another audience", signed(&header, &with(&claims, "aud", json!("sluice:refresh")))),
        ("several audiences", signed(&header, &with(&claims, "aud", json!(["sluice", "x"])))),
        ("no audience", signed(&header, &without(&claims, "aud"))),
        ("no end", signed(&header, &without(&claims, "exp"))),
        ("an end as text", signed(&header, &with(&claims, "exp", json!((now + 100).to_string())))),
        ("an end that is none", signed(&header, &with(&claims, "exp", json!(null)))),
        ("a fractional end", signed(&header, &with(&claims, "exp", json!(1e30)))),
        ("a negative end", signed(&header, &with(&claims, "exp", json!(-1)))),
        ("an end that has passed", signed(&header, &with(&claims, "exp", json!(now - 1)))),
        ("nobody", signed(&header, &without(&claims, "sub"))),
        ("a foreign subject", signed(&header, &with(&claims, "sub", json!("upl_x")))),
        ("no session", signed(&header, &without(&claims, "sid"))),
        (
            "a session that is not there",
            signed(
                &header,
                &with(&claims, "sid", json!("ses_01890000-0000-7000-8000-000000000000")),
            ),
        ),
        ("a refresh token", tokens.refresh_token.clone()),
        ("a device token", device_token),
        ("cut", good[..good.len() - 1].to_owned()),
        ("without its end", body.to_owned()),
        ("with more", format!("{good}.x")),
        ("another signature", format!("{body}.{}", tag.chars().rev().collect::<String>())),
        ("endless", format!("{good}{}", "A".repeat(5000))),
        ("dots", "..".to_owned()),
    ];
    for (what, token) in wrong {
        assert!(!is_good(&server, &token).await, "a token with {what} is taken");
    }
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        // The last character of a signature has bits that stand for nothing.
        if at + 1 < good.len() {
            assert!(!is_good(&server, &altered).await, "changed at {at}");
        }
    }
}

#[tokio::test]
async fn a_retired_keys_signature_is_worth_nothing() {
    let mut server = Server::with().embedded().open_to_all().start().await;
    let ada = server.person("ada").await;
    assert!(is_good(&server, &ada.tokens.access_token).await);
    server.stop().await;
    let database = Connection::open(server.data_dir().join("sluice.db")).unwrap();
    database.execute("DELETE FROM signing_keys WHERE purpose = 'TOKEN'", []).unwrap();
    drop(database);
    server.restart().await;
    assert!(!is_good(&server, &ada.tokens.access_token).await);
    let (_, tokens) = server.signed_in(&ada.email).await.unwrap();
    assert!(is_good(&server, &tokens.access_token).await);
    assert_ne!(part(&tokens.access_token, 0)["kid"], part(&ada.tokens.access_token, 0)["kid"]);
}

#[tokio::test]
async fn anybody_can_check_tokens_with_the_public_keys() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let answer = http_get(&format!("{}/.well-known/jwks.json", server.url()), &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    let set: Value = serde_json::from_slice(&answer.body).unwrap();
    let kid = part(&ada.tokens.access_token, 0)["kid"].clone();
    let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap();
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"))
    );
    assert_eq!(key.get("d"), None, "the secret part stays here");
    let public = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
    let (text, signature) = ada.tokens.access_token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public)
        .verify(text.as_bytes(), &signature)
        .expect("the token is signed with it");
}
