//! A registered user with a token.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::client::Client;

/// Good enough for every rule about passwords.
pub const PASSWORD: &str = "correct horse battery";

/// Makes addresses differ within a process.
static SERIAL: AtomicU32 = AtomicU32::new(1);

/// A user who registered and logged in.
#[derive(Clone, Debug)]
pub struct Account {
    /// The client that carries the token.
    pub client: Client,
    /// The token.
    pub token: String,
    /// The address.
    pub email: String,
    /// The user's id.
    pub id: String,
}

impl Account {
    /// Registers a new user with an address of its own and logs in.
    pub async fn register(client: &Client) -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let email = format!("user-{serial}@example.test");
        let body = json!({"email": email, "password": PASSWORD, "name": format!("User {serial}")});
        client.anonymous().post("/api/v1/auth/register", &body).await.expect(201);
        Self::login(client, &email).await
    }

    /// Logs in a user who registered before.
    pub async fn login(client: &Client, email: &str) -> Self {
        let body = json!({"email": email, "password": PASSWORD});
        let session = client.anonymous().post("/api/v1/auth/login", &body).await.expect(200).json();
        let token = session["token"].as_str().expect("a login answers a token").to_owned();
        let id = session["user"]["id"].as_str().expect("a login answers the user").to_owned();
        Self { client: client.with_token(&token), token, email: email.to_owned(), id }
    }

    /// Creates a project and answers it.
    pub async fn create_project(&self, name: &str) -> Value {
        self.client.post("/api/v1/projects", &json!({"name": name})).await.expect(201).json()
    }

    /// Creates a web service in a project and answers it.
    pub async fn create_service(&self, project: &str, name: &str) -> Value {
        let path = format!("/api/v1/projects/{project}/services");
        self.client.post(&path, &json!({"name": name, "type": "web"})).await.expect(201).json()
    }
}
