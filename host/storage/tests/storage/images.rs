//! Images of workloads, as the store keeps them, on both databases.

use windlass_store::platform::images::{self, ImageRecord};
use windlass_store::{Executor, Value};

use crate::fixture::Fixture;
use crate::on_both_databases;
use crate::records::{Records, records};

on_both_databases!(
    a_name_means_the_content_it_was_pushed_with_last,
    content_is_kept_as_long_as_something_refers_to_it,
);

async fn a_name_means_the_content_it_was_pushed_with_last(fixture: Fixture) {
    let records = records(&fixture).await;
    for (name, content, now) in [("web:1", "one", 1), ("web:1", "two", 2), ("web:2", "two", 3)] {
        save(&records, Some(name), content, now).await;
    }
    assert_eq!(images::find(&records, "web:1").await.unwrap(), Some(image("two")));
    assert_eq!(images::find(&records, "web:3").await.unwrap(), None);
    let content = images::content(&records, "sha256:two").await.unwrap();
    assert_eq!(content.as_deref(), Some(b"two".as_slice()));
    assert_eq!(images::content(&records, "sha256:three").await.unwrap(), None);
    let listed = images::list(&records).await.unwrap();
    let listed: Vec<_> =
        listed.iter().map(|named| (&*named.name, &named.image, named.pushed_at_us)).collect();
    assert_eq!(listed, [("web:1", &image("two"), 2), ("web:2", &image("two"), 3)]);
}

async fn content_is_kept_as_long_as_something_refers_to_it(fixture: Fixture) {
    let records = records(&fixture).await;
    save(&records, Some("web:1"), "named", 1).await;
    save(&records, None, "deployed", 1).await;
    save(&records, None, "forgotten", 1).await;
    save(&records, None, "young", 10).await;
    refer_to(&records, "sha256:deployed").await;
    assert_eq!(images::forget(&records, 1).await, Ok(0), "none is older");
    assert_eq!(images::forget(&records, 10).await, Ok(1));
    for content in ["named", "deployed", "young"] {
        let kept = images::content(&records, &image(content).digest).await.unwrap();
        assert!(kept.is_some(), "{content}");
    }
    // What is kept anew is young again, and what a name left behind is let go of in its time.
    save(&records, None, "young", 20).await;
    save(&records, Some("web:1"), "deployed", 20).await;
    assert_eq!(images::forget(&records, 20).await, Ok(1), "the one that was named before");
    assert_eq!(images::content(&records, "sha256:named").await.unwrap(), None);
}

async fn save(records: &Records, name: Option<&str>, content: &str, now_us: i64) {
    images::save(records, name, &image(content), content.into(), now_us).await.unwrap();
}

fn image(content: &str) -> ImageRecord {
    ImageRecord { digest: format!("sha256:{content}"), size_bytes: content.len() as i64 }
}

/// A deployment of this content, with everything it hangs on.
async fn refer_to(records: &Records, digest: &str) {
    let work = records.begin().await.unwrap();
    for statement in [
        "INSERT INTO user_account (id, email, name, avatar_url, password_hash, revision, \
         created_at, updated_at) VALUES ('u', 'u@example.test', '', '', '', 1, 0, 0)",
        "INSERT INTO organization (id, name, revision, created_at, updated_at) \
         VALUES ('o', '', 1, 0, 0)",
        "INSERT INTO project (id, organization_id, owner_id, name, description, search_text, \
         revision, created_at, updated_at) VALUES ('p', 'o', 'u', '', '', '', 1, 0, 0)",
        "INSERT INTO environment (id, project_id, name, mode, revision, created_at, updated_at) \
         VALUES ('e', 'p', '', '', 1, 0, 0)",
        "INSERT INTO service (id, project_id, environment_id, name, kind, status, source_kind, \
         repository, branch, root_directory, dockerfile, image, builder, build_command, \
         start_command, environment_variables, cpu, memory, storage, revision, created_at, \
         updated_at) \
         VALUES ('s', 'p', 'e', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', \
         1, 0, 0)",
    ] {
        work.execute(statement, Vec::new()).await.unwrap();
    }
    let deployment = "INSERT INTO deployment (id, service_id, status, triggered_by, commit_hash, \
         branch, rollback_of, release, image_digest, error, actor_id, actor_email, revision, \
         created_at, updated_at) \
         VALUES ('d', 's', '', '', '', '', '', '', $1, '', '', '', 1, 0, 0)";
    work.execute(deployment, vec![Value::Text(digest.to_owned())]).await.unwrap();
    work.commit().await.unwrap();
}
