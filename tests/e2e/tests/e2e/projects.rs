//! Projects.

use reqwest::Method;
use serde_json::{Value, json};
use windlass_harness::{Account, Server};

use crate::check::{MISSING_ID, has_exactly, same_refusal, text, time};

on_each_database!(
    a_project_is_created_viewed_changed_and_deleted,
    project_requests_name_the_field_that_does_not_fit,
    a_list_of_projects_has_pages,
    a_search_takes_its_text_literally_and_in_any_case,
    a_deleted_project_takes_its_services_along,
    a_foreign_project_is_like_one_that_does_not_exist,
);

const PROJECT: [&str; 7] =
    ["id", "name", "description", "owner_id", "created_at", "updated_at", "services_count"];
const PROJECTS: &str = "/api/v1/projects";

pub(crate) async fn a_project_is_created_viewed_changed_and_deleted(server: &Server) {
    let account = Account::register(&server.client()).await;
    let client = &account.client;
    let new = json!({"name": "  Harbour ", "description": "Ships\nand cranes"});
    let created = client.post(PROJECTS, &new).await.expect(201);
    let tag = created.header("etag").expect("a project has a revision").to_owned();
    let mut project = created.json();
    has_exactly(&project, &PROJECT);
    assert_eq!(project["name"], "Harbour");
    assert_eq!(project["description"], "Ships\nand cranes");
    assert_eq!(project["owner_id"], account.id);
    assert_eq!(project["services_count"], 0);
    assert_eq!(time(&project["created_at"]), time(&project["updated_at"]));

    let path = format!("{PROJECTS}/{}", text(&project, "id"));
    let viewed = client.get(&path).await.expect(200);
    assert_eq!(viewed.header("etag"), Some(tag.as_str()));
    assert_eq!(viewed.json(), project);

    for change in [json!({"name": "Port"}), json!({"description": ""})] {
        let changed = client.put(&path, &change).await.expect(200);
        assert_ne!(changed.header("etag"), Some(tag.as_str()));
        let changed = changed.json();
        for (field, value) in change.as_object().expect("written as one") {
            project[field] = value.clone();
        }
        assert!(time(&changed["updated_at"]) > time(&project["updated_at"]));
        project["updated_at"] = changed["updated_at"].clone();
        assert_eq!(changed, project);
        assert_eq!(client.get(&path).await.expect(200).json(), project);
    }

    let gone = client.delete(&path).await.expect(204);
    assert!(gone.body.is_empty());
    client.get(&path).await.expect_error(404);
    client.delete(&path).await.expect_error(404);
    client.put(&path, &json!({"name": "Again"})).await.expect_error(404);
}

pub(crate) async fn project_requests_name_the_field_that_does_not_fit(server: &Server) {
    let account = Account::register(&server.client()).await;
    let client = &account.client;
    let project = account.create_project("Good").await;
    let path = format!("{PROJECTS}/{}", text(&project, "id"));
    let cases = [
        ("name", json!({"name": "x"})),
        ("name", json!({"name": "   "})),
        ("name", json!({"name": "n".repeat(101)})),
        ("name", json!({"name": "line\nbreak"})),
        ("name", json!({"name": 12})),
        ("description", json!({"name": "Good", "description": "d".repeat(2_001)})),
        ("description", json!({"name": "Good", "description": {"an": "object"}})),
    ];
    for (field, body) in &cases {
        client.post(PROJECTS, body).await.expect_invalid(field);
        client.put(&path, body).await.expect_invalid(field);
    }
    client.post(PROJECTS, &json!({"description": "nameless"})).await.expect_invalid("name");
    client.put(&path, &json!({})).await.expect_error(400);
    assert_eq!(client.get(&path).await.expect(200).json(), project);
    assert_eq!(listed(&account, "").await.1["total"], 1, "nothing was created");
}

pub(crate) async fn a_list_of_projects_has_pages(server: &Server) {
    let account = Account::register(&server.client()).await;
    let empty = account.client.get(PROJECTS).await.expect(200).json();
    let none = json!({"page": 1, "limit": 20, "total": 0, "total_pages": 0});
    assert_eq!(empty, json!({"projects": [], "pagination": none}));
    for number in 1..=25 {
        account.create_project(&format!("Project {number:02}")).await;
    }
    let (names, pagination) = listed(&account, "").await;
    assert_eq!(pagination, json!({"page": 1, "limit": 20, "total": 25, "total_pages": 2}));
    let latest: Vec<String> = (6..=25).rev().map(|number| format!("Project {number:02}")).collect();
    assert_eq!(names, latest, "what changed last comes first");

    let (names, pagination) = listed(&account, "?page=3&limit=10").await;
    assert_eq!(pagination, json!({"page": 3, "limit": 10, "total": 25, "total_pages": 3}));
    assert_eq!(names, ["Project 05", "Project 04", "Project 03", "Project 02", "Project 01"]);

    let (names, pagination) = listed(&account, "?page=9&limit=10").await;
    assert!(names.is_empty());
    assert_eq!(pagination, json!({"page": 9, "limit": 10, "total": 25, "total_pages": 3}));

    let answer = account.client.get(&format!("{PROJECTS}?page=2&limit=10&search=ro")).await;
    let link = answer.expect(200).header("link").expect("a page has links").to_owned();
    for relation in ["first", "prev", "next", "last"] {
        assert!(link.contains(&format!("rel=\"{relation}\"")), "{relation} in {link}");
    }
    assert!(link.contains("page=3") && link.contains("search=ro"), "{link}");

    for query in ["page=0", "page=-1", "page=x", "page=1&page=2"] {
        account.client.get(&format!("{PROJECTS}?{query}")).await.expect_invalid("page");
    }
    for query in ["limit=0", "limit=101", "limit=ten"] {
        account.client.get(&format!("{PROJECTS}?{query}")).await.expect_invalid("limit");
    }
}

pub(crate) async fn a_search_takes_its_text_literally_and_in_any_case(server: &Server) {
    let account = Account::register(&server.client()).await;
    account.create_project("Blue whale").await;
    account.create_project("100%_done").await;
    let described = json!({"name": "Nameless", "description": "has a WHALE inside"});
    account.client.post(PROJECTS, &described).await.expect(201);
    let cases = [
        ("whale", vec!["Nameless", "Blue whale"]),
        ("BLUE%20W", vec!["Blue whale"]),
        ("%25", vec!["100%_done"]),
        ("%25_", vec!["100%_done"]),
        ("_", vec!["100%_done"]),
        ("%5C", vec![]),
        ("%27%20OR%20%271%27%3D%271", vec![]),
    ];
    for (search, expected) in cases {
        let (names, pagination) = listed(&account, &format!("?search={search}")).await;
        assert_eq!(names, expected, "search {search}");
        assert_eq!(pagination["total"], expected.len(), "search {search}");
    }
}

pub(crate) async fn a_deleted_project_takes_its_services_along(server: &Server) {
    let account = Account::register(&server.client()).await;
    let project = account.create_project("Short-lived").await;
    let id = text(&project, "id");
    let first = account.create_service(id, "first").await;
    account.create_service(id, "second").await;
    let path = format!("{PROJECTS}/{id}");
    let counted = account.client.get(&path).await.expect(200).json();
    assert_eq!(counted["services_count"], 2);
    let page = account.client.get(PROJECTS).await.expect(200).json();
    assert_eq!(page["projects"][0], counted);
    account.client.delete(&path).await.expect(204);
    let service = format!("/api/v1/services/{}", text(&first, "id"));
    account.client.get(&service).await.expect_error(404);
    account.client.get(&format!("{path}/services")).await.expect_error(404);
}

pub(crate) async fn a_foreign_project_is_like_one_that_does_not_exist(server: &Server) {
    let owner = Account::register(&server.client()).await;
    let stranger = Account::register(&server.client()).await.client;
    let project = owner.create_project("Private").await;
    let path = |id: &str| format!("{PROJECTS}/{id}");
    let foreign = path(text(&project, "id"));
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let call = |path: String| {
            let request = stranger.request(method.clone(), &path);
            let request = if method == Method::PUT {
                request.json(&json!({"name": "Mine"}))
            } else {
                request
            };
            request.send()
        };
        let refusal = call(foreign.clone()).await;
        assert_eq!(refusal.status, 404, "{method}");
        same_refusal(refusal.clone(), call(path(MISSING_ID)).await);
        same_refusal(refusal, call(path("no-id-at-all")).await);
    }
    assert!(stranger.get(PROJECTS).await.json()["projects"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(owner.client.get(&foreign).await.expect(200).json(), project);
}

/// The names on a page, and its pagination.
async fn listed(account: &Account, query: &str) -> (Vec<String>, Value) {
    let body = account.client.get(&format!("{PROJECTS}{query}")).await.expect(200).json();
    has_exactly(&body, &["projects", "pagination"]);
    let projects = body["projects"].as_array().expect("a list");
    let names = projects.iter().map(|project| text(project, "name").to_owned()).collect();
    (names, body["pagination"].clone())
}
