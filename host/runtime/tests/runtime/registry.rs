//! Registries that are not what they seem. A real one is tested end to end.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use windlass_outbound::{Client, Outbound};
use windlass_runtime::{Error, OciRegistry, Registry};
use windlass_test_support::{HttpStub, http_answer};

const COMPONENT: &str = "\0asm\x0d\0\x01\0content";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn digest(content: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

fn manifest(kind: &str, digest: &str, size: usize) -> String {
    serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": digest, "size": 2},
        "layers": [{"mediaType": kind, "digest": digest, "size": size}],
    })
    .to_string()
}

fn good() -> String {
    manifest("application/wasm", &digest(COMPONENT), COMPONENT.len())
}

/// A registry that answers this manifest for every reference, and this content for every digest.
fn registry(manifest: String, content: &'static str) -> HttpStub {
    HttpStub::start(move |head| match head.contains("/manifests/") {
        true => http_answer("200 OK", "", &manifest),
        false => http_answer("200 OK", "", content),
    })
}

async fn fetch(stub: &HttpStub, image: &str) -> Result<Vec<u8>, Error> {
    let outbound = Outbound::allowing(&["127.0.0.1".to_owned()]).unwrap();
    let registry = Arc::new(OciRegistry::new(Client::new(outbound).unwrap()));
    let host = stub.base().replace("http://", "");
    registry.fetch(&format!("{host}/{image}")).await.map(|content| content.to_vec())
}

#[tokio::test]
async fn a_component_is_fetched_by_tag_and_by_digest() {
    let stub = registry(good(), COMPONENT);
    assert_eq!(fetch(&stub, "acme/shop:1").await.unwrap(), COMPONENT.as_bytes());
    let named = format!("acme/shop@{}", digest(&good()));
    assert_eq!(fetch(&stub, &named).await.unwrap(), COMPONENT.as_bytes());
    let other = format!("acme/shop@{}", digest("other"));
    assert!(matches!(fetch(&stub, &other).await, Err(Error::Unavailable(_))));
    let heads = stub.heads();
    assert!(heads[0].starts_with("GET /v2/acme/shop/manifests/1 HTTP"), "{heads:?}");
    assert!(heads[0].contains(MANIFEST), "{heads:?}");
    assert!(heads[1].starts_with(&format!("GET /v2/acme/shop/blobs/{}", digest(COMPONENT))));
}

#[tokio::test]
async fn what_is_no_component_is_told_before_it_is_fetched() {
    let container = "application/vnd.oci.image.layer.v1.tar+gzip";
    let digest = digest(COMPONENT);
    for (manifest, said) in [
        (manifest(container, &digest, 7), "image of a container"),
        (manifest("application/wasm", "sha256:../../x", 7), "image of a container"),
        (manifest("application/wasm", &digest, 1 << 40), "at the most"),
        ("{}".to_owned(), "says nothing of a component"),
        ("<html>".to_owned(), "says nothing of a component"),
        ("{\"manifests\": [{\"digest\": \"x\", \"size\": 1}]}".to_owned(), "says nothing"),
    ] {
        let stub = registry(manifest.clone(), COMPONENT);
        match fetch(&stub, "shop:1").await {
            Err(Error::Invalid(text)) => assert!(text.contains(said), "{manifest}: {text}"),
            other => panic!("{manifest}: {other:?}"),
        }
        assert_eq!(stub.heads().len(), 1, "only the manifest was fetched");
    }
}

#[tokio::test]
async fn the_manifest_for_components_is_taken_from_a_list() {
    let list = serde_json::json!({"manifests": [
        {"digest": digest("linux"), "size": 1, "platform": {"architecture": "amd64", "os": "linux"}},
        {"digest": digest(&good()), "size": 1, "platform": {"architecture": "wasm", "os": "wasip2"}},
    ]})
    .to_string();
    let stub = HttpStub::start(move |head| {
        if head.contains("/manifests/1 ") {
            http_answer("200 OK", "", &list)
        } else if head.contains("/manifests/sha256:") {
            http_answer("200 OK", "", &good())
        } else {
            http_answer("200 OK", "", COMPONENT)
        }
    });
    assert_eq!(fetch(&stub, "shop:1").await.unwrap(), COMPONENT.as_bytes());
}

#[tokio::test]
async fn other_content_than_was_named_is_not_taken() {
    let stub = registry(good(), "\0asm\x0d\0\x01\0c0ntent");
    assert!(matches!(fetch(&stub, "shop:1").await, Err(Error::Unavailable(_))));
    let stub = registry(good(), "\0asm\x0d\0\x01\0content and more of it");
    let long = fetch(&stub, "shop:1").await;
    assert!(matches!(long, Err(Error::Invalid(_))), "{long:?}");
}

#[tokio::test]
async fn a_token_for_everybody_is_asked_for_and_another_is_not() {
    let stub = HttpStub::start(|head| {
        let host = head.split("host: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        let challenge = format!(
            "www-authenticate: Bearer realm=\"http://{host}/token\",service=\"r\",\
             scope=\"repository:shop:pull\"\r\n"
        );
        if head.starts_with("GET /token?service=r&scope=repository%3Ashop%3Apull ") {
            return http_answer("200 OK", "", "{\"token\": \"anonymous\"}");
        }
        match (head.contains("authorization: bearer anonymous"), head.contains("/v2/shop/")) {
            (true, true) if head.contains("/manifests/") => http_answer("200 OK", "", &good()),
            (true, true) => http_answer("200 OK", "", COMPONENT),
            _ => http_answer("401 Unauthorized", &challenge, ""),
        }
    });
    assert_eq!(fetch(&stub, "shop:1").await.unwrap(), COMPONENT.as_bytes());
    let secret = fetch(&stub, "secret:1").await;
    assert!(matches!(&secret, Err(Error::Invalid(text)) if text.contains("make it public")));
    let stub = HttpStub::start(|_| {
        http_answer("401 Unauthorized", "www-authenticate: Basic realm=\"r\"\r\n", "")
    });
    let basic = fetch(&stub, "shop:1").await;
    assert!(matches!(&basic, Err(Error::Invalid(text)) if text.contains("credentials")));
}

#[tokio::test]
async fn what_a_registry_refuses_is_said_in_words() {
    let check = async |status: &'static str, is_passing: bool, said: &str| {
        let stub = HttpStub::start(move |_| http_answer(status, "", ""));
        let error = fetch(&stub, "shop:1").await.unwrap_err();
        assert_eq!(matches!(error, Error::Unavailable(_)), is_passing, "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
    };
    check("404 Not Found", false, "there is no image").await;
    check("403 Forbidden", false, "without credentials").await;
    check("429 Too Many Requests", true, "too often").await;
    check("500 Internal Server Error", true, "answered 500").await;
    let refused = OciRegistry::new(Client::new(Outbound::default()).unwrap());
    let refused = refused.fetch("127.0.0.1:1/shop:1").await.unwrap_err();
    assert!(refused.to_string().contains("outbound_allow"), "{refused}");
}
