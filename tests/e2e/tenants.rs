//! Tenants: what one has does not exist for another, on any operation.

use std::collections::BTreeSet;

use domain::request::RequestId;
use harness::{Answer, Client, Program, Reply, Valuer, World, until, until_some};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::callers::KeyRing;
use crate::{document, fanfold, post};

const TENANTS: [&str; 3] = ["default", "red", "blue"];
const ROLES: [&str; 4] = ["submit", "read", "operate", "admin"];
/// The `Idempotency-Key` of every tenant's second request.
const KEY: &str = "the same";

/// The callers of one tenant, one for each role, and its requests.
struct Tenant {
    name: &'static str,
    callers: Vec<(&'static str, Client)>,
    /// A request that failed, with its dead letter.
    failed: String,
    letter: String,
    /// A request with a key that every tenant uses.
    keyed: String,
    /// The draft of a bulk operation.
    draft: String,
}

impl Tenant {
    fn caller(&self, wanted: &str) -> &Client {
        let mut callers = self.callers.iter();
        &callers.find(|(role, _)| *role == wanted).unwrap().1
    }

    /// All that names something of the tenant.
    fn ids(&self) -> [&str; 4] {
        [&self.failed, &self.letter, &self.keyed, &self.draft]
    }

    /// What the calls of this suite are about.
    fn named(&self) -> Named<'_> {
        Named {
            request: &self.failed,
            letter: &self.letter,
            draft: &self.draft,
        }
    }
}

/// What a call is about.
#[derive(Clone, Copy)]
struct Named<'a> {
    request: &'a str,
    letter: &'a str,
    draft: &'a str,
}

impl<'a> Named<'a> {
    /// The id in a path.
    fn id(self, path: &str) -> &'a str {
        if path.contains("/dead-letters/") {
            self.letter
        } else if path.contains("/operations/") {
            self.draft
        } else {
            self.request
        }
    }
}

/// One operation of the `OpenAPI` document.
#[derive(Clone, Debug)]
struct Operation {
    method: Method,
    path: String,
    action: String,
    /// The name of the schema of its JSON body, or `xml`.
    body: Option<String>,
    /// The media types of its answer.
    answers: BTreeSet<String>,
}

impl Operation {
    /// Whether it is about one request, dead letter or bulk operation.
    fn names_one(&self) -> bool {
        self.path.contains("{id}")
    }

    fn real_path(&self, named: Named<'_>) -> String {
        let path = self
            .path
            .replace("{id}", named.id(&self.path))
            .replace("{group}", "0");
        let path = path.replace("{task}", "1");
        assert!(!path.contains('{'), "tell this suite what {path} needs");
        path
    }

    /// A call of the operation.
    fn call(&self, client: &Client, named: Named<'_>) -> RequestBuilder {
        let path = self.real_path(named);
        let call = client.call(self.method.clone(), &path);
        let Some(body) = &self.body else { return call };
        let json = match body.as_str() {
            "xml" => {
                let call = call.header(CONTENT_TYPE, "application/xml");
                return call.body(document(1, 1));
            }
            "Why" | "OperationCommand" => json!({ "reason": "a test" }),
            "DraftOperation" => {
                json!({ "action": "redrive", "ids": [named.request], "reason": "a test" })
            }
            "StartOperation" => json!({}),
            "Change" => json!({ "reason": "a test", "dryRun": true }),
            other => panic!("tell this suite what a body of {other} is"),
        };
        let call = call.header(CONTENT_TYPE, "application/json");
        call.body(json.to_string())
    }
}

/// Every operation that has an action. A new one is among them by itself.
async fn operations(client: &Client) -> Vec<Operation> {
    let described = client.get("/openapi.json").await.json();
    let mut all = Vec::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let action = operation["x-action"].as_str().unwrap().to_owned();
            if action == "open" {
                continue;
            }
            let content = operation["requestBody"]["content"].as_object();
            let body = content.map(|content| match content.get("application/json") {
                None => "xml".to_owned(),
                Some(json) => {
                    let schema = json["schema"]["$ref"].as_str().unwrap();
                    schema.rsplit('/').next().unwrap().to_owned()
                }
            });
            let answers = operation["responses"].as_object().unwrap().iter();
            let answers = answers.filter(|(status, _)| status.starts_with('2'));
            let answers = answers.filter_map(|(_, answer)| answer["content"].as_object());
            all.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                action,
                body,
                answers: answers.flat_map(|kinds| kinds.keys().cloned()).collect(),
            });
        }
    }
    all
}

async fn keyed(client: &Client) -> Answer {
    let call = client.call(Method::POST, "/valuation");
    let call = call.header(CONTENT_TYPE, "application/xml");
    let call = call.header("idempotency-key", KEY);
    client.send(call.body(document(1, 1))).await
}

/// A tenant with a request that failed and a request with a key.
async fn tenant(name: &'static str, keys: &KeyRing, open: &Client) -> Tenant {
    let mut callers = Vec::new();
    for role in ROLES {
        let grant = format!("{name}:{role}");
        let key = keys.key(&format!("{name}-{role}"), &[&grant]).await;
        callers.push((role, open.with_credential(&key)));
    }
    let submits = &callers[0].1;
    // The file of keys is read again within a second.
    until("the keys are known", || async {
        submits.get("/valuations").await.status == StatusCode::OK
    })
    .await;
    let failed = submits.submit(&document(1, 1), "").await.id();
    submits.until_status(&failed, "failed").await;
    let keyed = keyed(submits).await.id();
    submits.until_status(&keyed, "failed").await;
    let order = json!({ "action": "redrive", "ids": [failed], "reason": "a test" });
    let drafted = post(&callers[2].1, "/operations", &order).await;
    Tenant {
        name,
        draft: drafted.json()["id"].as_str().unwrap().to_owned(),
        callers,
        letter: format!("{failed}.0.1.0"),
        failed,
        keyed,
    }
}

/// A program whose tasks all fail, with three tenants.
async fn scene(world: &World) -> (Program, Valuer, KeyRing, Vec<Tenant>) {
    let valuer = Valuer::start(|_| async { Reply::Status(422, "no".into()) }).await;
    let keys = KeyRing::new(world);
    keys.key("the-system", &["system:admin"]).await;
    let settings = [
        ("EXECUTOR", valuer.url()),
        ("AUTH_KEYS_FILE", keys.0.as_str()),
    ];
    let program = Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", world, &settings).await;
    let open = program.client();
    let mut tenants = Vec::new();
    for name in TENANTS {
        tenants.push(tenant(name, &keys, &open).await);
    }
    (program, valuer, keys, tenants)
}

/// What an answer says, without what differs between any two answers.
fn told(answer: &Answer, named: Named<'_>) -> (StatusCode, String, BTreeSet<String>) {
    let headers = answer.headers.keys().map(ToString::to_string);
    let body = answer.body.replace(named.request, "ID");
    let body = body.replace(named.draft, "ID");
    (answer.status, body, headers.collect())
}

/// Whether the role allows the action on the requests of the same subject.
fn allows(role: &str, action: &str) -> bool {
    let may: &[&str] = match action {
        "submit" | "check" => &["submit", "admin"],
        "read" => &["submit", "read", "operate", "admin"],
        "inspect" => &["read", "operate", "admin"],
        "operate" => &["operate", "admin"],
        other => panic!("tell this suite who may {other}"),
    };
    may.contains(&role)
}

/// Tries an operation as a caller of one tenant on what another tenant has. Every answer must be
/// that for something that does not exist.
async fn tries_as_a_stranger(operation: &Operation, caller: (&str, &Client), other: &Tenant) {
    let (role, client) = caller;
    let nowhere = RequestId::of_key("nobody", &format!("{:?}", std::time::Instant::now()));
    let nowhere = nowhere.to_string();
    let nobodys_letter = format!("{nowhere}.0.1.0");
    let nobody = Named {
        request: &nowhere,
        letter: &nobodys_letter,
        draft: &nowhere,
    };
    let what = format!(
        "{role}: {} {} of {}",
        operation.method, operation.path, other.name
    );
    let variants = |call: RequestBuilder| {
        let again = || call.try_clone().unwrap();
        let mut all = vec![again()];
        all.push(again().header("fanfold-sequence", "999999"));
        all.push(again().header("prefer", "wait=1"));
        let kinds = operation.answers.iter();
        all.extend(kinds.map(|kind| again().header(ACCEPT, kind)));
        all
    };
    let theirs = variants(operation.call(client, other.named()));
    let nobodys = variants(operation.call(client, nobody));
    for (theirs, nobodys) in theirs.into_iter().zip(nobodys) {
        let (theirs, nobodys) = (client.send(theirs).await, client.send(nobodys).await);
        if operation.names_one() {
            let wanted = told(&nobodys, nobody);
            assert_eq!(told(&theirs, other.named()), wanted, "{what}");
            let status = if allows(role, &operation.action) {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::FORBIDDEN
            };
            assert_eq!(theirs.status, status, "{what}: {}", theirs.body);
        }
        for id in other.ids() {
            let request = id.split('.').next().unwrap();
            let names = theirs.body.contains(request) && !operation.names_one();
            assert!(!names, "{what}: {}", theirs.body);
        }
    }
}

async fn strangers_try_everything(operations: &[Operation], tenants: &[Tenant], reads_only: bool) {
    for own in tenants {
        for other in tenants.iter().filter(|other| other.name != own.name) {
            for operation in operations {
                if reads_only && operation.method != Method::GET {
                    continue;
                }
                for (role, client) in &own.callers {
                    tries_as_a_stranger(operation, (*role, client), other).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn nothing_of_a_tenant_exists_for_any_role_of_another_on_any_operation() {
    let mut world = World::own().await;
    let (program, _valuer, _keys, tenants) = scene(&world).await;
    let operations = operations(&program.client()).await;
    // A new operation is tried as soon as it is in the document. This counts them.
    assert_eq!(operations.len(), 23, "{operations:?}");
    strangers_try_everything(&operations, &tenants, false).await;
    for tenant in &tenants {
        let admin = tenant.caller("admin");
        let status = admin.status(&tenant.failed).await.json();
        assert_eq!(status["status"], "failed", "nobody else changed it");
        let letter = admin.get(&format!("/dead-letters/{}", tenant.letter)).await;
        assert_eq!(letter.status, StatusCode::OK, "{}", letter.body);
        let draft = admin.get(&format!("/operations/{}", tenant.draft)).await;
        assert_eq!(draft.json()["status"], "draft", "nobody else started it");
    }
    // Without Redis, the API folds the log. What it finds there is as invisible.
    world.kill_redis().await;
    strangers_try_everything(&operations, &tenants, true).await;
    for tenant in &tenants {
        let status = tenant.caller("admin").status(&tenant.failed).await.json();
        assert_eq!(status["status"], "failed");
    }
}

#[tokio::test]
async fn each_role_of_a_tenant_gets_what_it_may_on_every_operation_of_its_own() {
    let world = World::start().await;
    let (program, _valuer, _keys, tenants) = scene(&world).await;
    for operation in operations(&program.client()).await {
        for tenant in &tenants {
            for (role, client) in &tenant.callers {
                let call = operation.call(client, tenant.named());
                let answer = client.send(call).await;
                let what = format!("{role} of {}: {operation:?}: {}", tenant.name, answer.body);
                let is_forbidden = answer.status == StatusCode::FORBIDDEN;
                assert_eq!(is_forbidden, !allows(role, &operation.action), "{what}");
                let own_only = *role == "submit" && operation.names_one();
                // An earlier role may have redriven it, or taken its letter away.
                let may_be_gone = operation.path.starts_with("/dead-letters/");
                if answer.status == StatusCode::NOT_FOUND && !own_only && !may_be_gone {
                    // A request that runs again has no result yet.
                    assert_eq!(answer.json()["code"], "not-ready", "{what}");
                }
            }
        }
    }
}

/// The pages of the console, as its document lists them.
fn pages() -> Vec<String> {
    let page = include_str!("../../docs/console.md");
    let rows = page
        .lines()
        .filter_map(|row| row.strip_prefix("| `/console"));
    let paths = rows.map(|row| format!("/console{}", row.split('`').next().unwrap()));
    let all: Vec<String> = paths.collect();
    assert_eq!(all.len(), 26, "{all:?}");
    all
}

/// A page about these.
fn page_of(page: &str, named: Named<'_>) -> String {
    let id = named.id(page);
    let act = if page.contains("/operations/") {
        "cancel"
    } else {
        "redrive"
    };
    let mut path = page.to_owned();
    for (part, value) in [
        ("{id}", id),
        ("{name}", "submitted"),
        ("{group}", "0"),
        ("{task}", "1"),
        ("{rows}", "1"),
        ("{from}", "1"),
        ("{to}", "2"),
        ("{act}", act),
        ("{*rest}", "nowhere"),
    ] {
        path = path.replace(part, value);
    }
    assert!(!path.contains('{'), "tell this suite what {path} needs");
    path
}

#[tokio::test]
async fn no_page_of_the_console_shows_any_role_of_a_tenant_what_another_tenant_has() {
    let world = World::start().await;
    let (program, _valuer, _keys, tenants) = scene(&world).await;
    let console = program.admin();
    let nowhere = RequestId::of_key("nobody", "nowhere").to_string();
    let nobodys_letter = format!("{nowhere}.0.1.0");
    let nobody = Named {
        request: &nowhere,
        letter: &nobodys_letter,
        draft: &nowhere,
    };
    let mut shown = 0;
    for own in &tenants {
        for (role, caller) in &own.callers {
            let visitor = caller.at(console.base());
            for page in pages() {
                // It is a stream, and has its own test.
                if page == "/console/changes" {
                    continue;
                }
                let names_one = page.contains("{id}");
                for other in tenants.iter().filter(|other| other.name != own.name) {
                    let what = format!("{role} of {}: {page} of {}", own.name, other.name);
                    let theirs = page_of(&page, other.named());
                    let theirs = visitor.get(&theirs).await;
                    for id in other.ids() {
                        let request = id.split('.').next().unwrap();
                        let tail = &request[24..];
                        assert!(names_one || !theirs.body.contains(tail), "{what}");
                    }
                    if !names_one {
                        continue;
                    }
                    let nobodys = page_of(&page, nobody);
                    let nobodys = visitor.get(&nobodys).await;
                    assert_eq!(theirs.status, nobodys.status, "{what}");
                    assert_ne!(theirs.status, StatusCode::OK, "{what}");
                    let told = theirs.body.replace(other.failed.as_str(), &nowhere);
                    let told = told.replace(other.draft.as_str(), &nowhere);
                    assert_eq!(told, nobodys.body, "{what}");
                }
                let mine = page_of(&page, own.named());
                let mine = visitor.get(&mine).await;
                shown += usize::from(names_one && mine.status == StatusCode::OK);
            }
        }
    }
    // Each role sees pages of its own tenant, so the suite has looked at pages that there are.
    assert!(shown >= TENANTS.len() * 30, "{shown}");
}

fn ids(list: &Answer, of: &str, field: &str) -> BTreeSet<String> {
    let list = list.json();
    let all = list[of].as_array().unwrap_or_else(|| panic!("{list}"));
    let id = |item: &Value| item[field].as_str().unwrap().to_owned();
    all.iter().map(id).collect()
}

#[tokio::test]
async fn lists_and_dead_letters_have_one_tenant_and_those_of_the_system_have_all() {
    let world = World::start().await;
    let (program, _valuer, keys, tenants) = scene(&world).await;
    let open = program.client();
    let system = keys.key("root", &["system:admin"]).await;
    let system = open.with_credential(&system);
    let both = keys.key("both", &["red:read", "blue:operate"]).await;
    let both = open.with_credential(&both);
    until("the keys are known", || async {
        system.get("/valuations").await.status == StatusCode::OK
            && both.get("/valuations").await.status != StatusCode::UNAUTHORIZED
    })
    .await;
    let of = |tenant: &Tenant| BTreeSet::from([tenant.failed.clone(), tenant.keyed.clone()]);
    let letters = "/dead-letters";
    let mut all = BTreeSet::new();
    for tenant in &tenants {
        let list = tenant.caller("read").get("/valuations").await;
        assert_eq!(ids(&list, "valuations", "requestId"), of(tenant));
        let list = tenant.caller("read").get(letters).await;
        assert_eq!(ids(&list, "deadLetters", "requestId"), of(tenant));
        let named = system.call(Method::GET, "/valuations");
        let list = system
            .send(named.header("fanfold-tenant", tenant.name))
            .await;
        assert_eq!(ids(&list, "valuations", "requestId"), of(tenant));
        let status = system.status(&tenant.failed).await.json();
        let told = status["tenant"].as_str().unwrap_or("default");
        assert_eq!(told, tenant.name);
        let list = ["dead-letters", "list", "--tenant", tenant.name, "--json"];
        let said = fanfold(&world, &list).await;
        assert!(said.ok && said.out.contains(&tenant.failed), "{}", said.err);
        assert_eq!(said.out.lines().count(), 2, "{}", said.out);
        let search = ["replay", "search", "--tenant", tenant.name, "--json"];
        let said = fanfold(&world, &search).await;
        assert!(said.ok && said.out.contains(&tenant.failed), "{}", said.err);
        assert_eq!(said.out.lines().count(), 2, "{}", said.out);
        all.extend(of(tenant));
    }
    let list = system.get("/valuations").await;
    assert_eq!(ids(&list, "valuations", "requestId"), all);
    let list = system.get(letters).await;
    assert_eq!(ids(&list, "deadLetters", "requestId"), all);

    // A caller of several tenants names one, and has its roles there.
    let unnamed = both.get("/valuations").await;
    assert_eq!(unnamed.status, StatusCode::BAD_REQUEST);
    assert_eq!(unnamed.json()["code"], "tenant-unnamed");
    let call = |client: &Client, method, path: &str, name: &str| {
        let call = client.call(method, path).header("fanfold-tenant", name);
        let call = call.header(CONTENT_TYPE, "application/json");
        client.send(call.body(r#"{"reason":"a test","dryRun":true}"#))
    };
    let red = call(&both, Method::GET, "/valuations", "red").await;
    assert_eq!(ids(&red, "valuations", "requestId"), of(&tenants[1]));
    let discard = "/dead-letters/discard";
    let answer = call(&both, Method::POST, discard, "red").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = call(&both, Method::POST, discard, "blue").await;
    assert_eq!(answer.json()["letters"], 2);
    for invalid in ["", "Red", "a b", "system"] {
        let answer = call(&both, Method::GET, "/valuations", invalid).await;
        assert_eq!(answer.json()["code"], "invalid-tenant", "{invalid}");
    }
}

#[tokio::test]
async fn a_key_names_another_request_in_each_tenant_and_the_default_one_as_before() {
    let world = World::start().await;
    let (_program, _valuer, _keys, tenants) = scene(&world).await;
    let [default, red, blue] = tenants.as_slice() else {
        panic!("three tenants")
    };
    assert_eq!(
        default.keyed,
        RequestId::of_key("anonymous", KEY).to_string()
    );
    assert_ne!(default.keyed, red.keyed);
    assert_ne!(red.keyed, blue.keyed);
    for tenant in &tenants {
        let again = keyed(tenant.caller("submit")).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.id(), tenant.keyed);
    }
    // The feed has each tenant's events at subjects of its own, as NATS can grant them.
    let feed = world.jetstream().await.get_stream("LIFECYCLE").await;
    let feed = feed.unwrap();
    for tenant in &tenants {
        let request: RequestId = tenant.failed.parse().unwrap();
        let root = match tenant.name {
            "default" => "lifecycle".to_owned(),
            name => format!("tenants.{name}.lifecycle"),
        };
        // The later commits of a request name its tenant too.
        for event in ["received", "group-started", "task-failed", "failed"] {
            let at = format!("{root}.{event}.{}", request.partition());
            until_some("the event is in the feed", || async {
                feed.get_last_raw_message_by_subject(&at).await.ok()
            })
            .await;
        }
    }
    let redis = world.redis().await;
    for key in [
        "index:requests:0",
        "index:requests:red:0",
        "index:requests:blue:0",
    ] {
        until(key, || {
            let mut redis = redis.clone();
            async move {
                let mut look = redis::cmd("ZCARD");
                let count: u64 = look.arg(key).query_async(&mut redis).await.unwrap();
                count == 2
            }
        })
        .await;
    }
}
