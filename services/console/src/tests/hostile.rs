use super::world::{FAILED, Texts, console, get};
use axum::http::StatusCode;

/// A text that ends every context of HTML in which it could land.
const HOSTILE: &str = "\"'></textarea></title></pre></code><script>alert(1)</script><img src=x onerror=alert(2)>&lt;\u{202e}";
const DOCUMENT: &str = "<vnml>\n<project>\n<group name=\"&lt;script>alert(3)&lt;/script>\">\n<valuation name=\"one\"/>\n<valuation name=\"'>&lt;img onerror=alert(4)>\"/>\n</group>\n</project>\n<!-- </code><script>alert(5)</script> -->\n</vnml>";

fn texts() -> Texts<'static> {
    Texts {
        group: HOSTILE,
        label: HOSTILE,
        message: HOSTILE,
        cause: HOSTILE,
        worker: HOSTILE,
        document: DOCUMENT,
        submitter: HOSTILE,
        tenant: "default",
    }
}

/// The tags that a page may have with scripts or with addresses of its own.
fn check(path: &str, html: &str) {
    let scripts: Vec<&str> = html.split("<script").skip(1).collect();
    for script in &scripts {
        let tag = &script[..script.find('>').unwrap()];
        assert!(
            tag.starts_with(" type=\"module\" src=\"/console/assets/")
                && script[tag.len()..].starts_with("></script>"),
            "{path}: <script{tag}>"
        );
    }
    assert!(!html.contains("<img src=x"), "{path}");
    let lower = html.to_lowercase();
    for tag in lower.split('<').skip(1) {
        let tag = &tag[..tag.find('>').unwrap_or(tag.len())];
        // A quote in the text of an attribute is written as an entity, so these are attributes.
        for part in tag.split('"').step_by(2) {
            assert!(
                !part.contains(" on") && !part.contains(" style="),
                "{path}: <{tag}>"
            );
        }
        assert!(!tag.contains("javascript:"), "{path}: <{tag}>");
    }
}

#[tokio::test]
async fn no_text_of_a_stranger_becomes_markup_on_any_page() {
    let console = console(&texts());
    let of_request = [
        "",
        "?tab=story",
        "?tab=tasks",
        "?tab=tasks&group=0",
        "?tab=events",
        "?tab=events&event=1",
        "?tab=events&event=3",
        "?tab=documents",
        "?tab=audit",
        "?at=1",
        "?at=2",
        "?at=3",
        "/tasks/0/1",
        "/tasks/0/2",
        "/groups/0",
        "/groups/0?rows=worker",
        "/documents/submitted",
        "/documents/submitted?find=script",
        "/documents/result-0-1",
        "/documents/task-0-1",
    ];
    let of_request = of_request.map(|path| format!("/console/requests/{FAILED}{path}"));
    let hostile = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    let others = [
        "/console/".to_owned(),
        "/console/requests".into(),
        format!("/console/requests?q={hostile}"),
        format!("/console/requests?q=worker:{hostile}"),
        "/console/requests?q=event:task-failed+since:90000d".into(),
        format!("/console/requests/{hostile}"),
        format!("/console/requests?theme={hostile}&q=status:failed"),
        format!("/console/requests/{FAILED}?at={hostile}"),
        format!("/console/requests/{FAILED}?tab={hostile}"),
        format!("/console/requests/{FAILED}/documents/{hostile}"),
        "/console/failures".into(),
        "/console/dead-letters".into(),
        format!("/console/dead-letters?code={hostile}&type={hostile}"),
        format!("/console/dead-letters/{hostile}"),
        format!("/console/{hostile}"),
        format!("/console/sign-in?back={hostile}"),
    ];
    let mut shown = 0;
    for path in of_request.iter().chain(&others) {
        let page = get(&console, path).await;
        assert_ne!(page.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        check(path, &page.text);
        shown += usize::from(page.text.contains("alert(1)"));
    }
    // The texts are there, as texts.
    assert!(shown > 15, "{shown}");
}

#[tokio::test]
async fn every_page_has_the_strict_policy() {
    let console = console(&texts());
    for path in [
        "/console/",
        "/console/requests",
        "/console/nowhere",
        "/console/sign-in",
    ] {
        let page = get(&console, path).await;
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        for part in [
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
    }
}

#[tokio::test]
async fn a_document_is_saved_as_a_file_and_never_shown_as_a_page() {
    let console = console(&texts());
    let path = format!("/console/requests/{FAILED}/documents/submitted/raw");
    let file = get(&console, &path).await;
    assert_eq!(file.text, DOCUMENT);
    assert_eq!(file.headers["content-type"], "application/octet-stream");
    assert_eq!(
        file.headers["content-disposition"],
        "attachment; filename=\"submitted.xml\""
    );
}
