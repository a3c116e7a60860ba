//! How the sign-in pages of an organization look: its setting, `GET /api/v1/auth/branding`, `GET /api/v1/oauth/branding`, and
//! where else it is told.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rivergen_tests::{Organization, PASSWORD, Server, on_both_databases};
use serde_json::{Value, json};

use crate::{
    invitations::{invite, preview_path, token},
    oauth::{App, Browser, CALLBACK, Pkce, form, text},
    scim::prove_domain,
};

on_both_databases! {
    a_colour_and_a_picture_are_set_changed_and_taken_away;
    what_is_no_colour_or_picture_is_refused;
    they_can_be_set_with_the_organization;
    a_visitor_learns_them_by_the_proved_domain_alone;
    whoever_is_invited_sees_them;
    pages_of_applications_wear_them;
    the_sign_in_on_the_way_to_an_application_wears_them;
    they_are_not_to_be_asked_for_without_end with "[limits]\nenabled = true\n[limits.rules]\nbranding_by_ip = { limit = 3, per_seconds = 600 }";
}

const PLAIN: &str = r#"{"organization_name":null,"branding":{"accent_color":null,"logo":null}}"#;

fn picture(kind: &str, bytes: &[u8]) -> String {
    format!("data:image/{kind};base64,{}", STANDARD.encode(bytes))
}

fn png() -> String {
    picture("png", b"\x89PNG\r\n\x1a\nrest")
}

fn settings(acme: &Organization) -> String {
    format!("/api/v1/organizations/{}/settings", acme.id)
}

async fn set(acme: &Organization, branding: Value) -> Value {
    let changed = acme.owner.client.patch(&settings(acme), json!({"settings": {"branding": branding}})).await.ok();
    changed["settings"]["branding"].clone()
}

/// What a visitor is answered.
async fn shown(server: &Server, organization: &str) -> Value {
    let query = form(&[("organization", organization)]);
    server.anonymous().get(&format!("/api/v1/auth/branding?{query}")).await.ok()
}

async fn a_colour_and_a_picture_are_set_changed_and_taken_away(server: &Server) {
    let acme = server.organization("Acme").await;
    let read = async || acme.admin.client.get(&settings(&acme)).await.ok();
    assert_eq!(read().await["settings"]["branding"], json!({"accent_color": null, "logo": null}));
    let both = json!({"accent_color": "#0b7285", "logo": png()});
    assert_eq!(set(&acme, json!({"accent_color": "#0B7285", "logo": png()})).await, both);
    assert_eq!(read().await["settings"]["branding"], both);
    // The same again is no change; another setting, and the other half, leave the picture.
    assert_eq!(set(&acme, both.clone()).await, both);
    acme.owner.client.patch(&settings(&acme), json!({"settings": {"invitation_expiry_days": 3}})).await.ok();
    assert_eq!(read().await["settings"]["branding"], both);
    let half = json!({"accent_color": null, "logo": png()});
    assert_eq!(set(&acme, json!({"accent_color": null})).await, half);
    let none = json!({"accent_color": null, "logo": null});
    assert_eq!(set(&acme, json!({"logo": null})).await, none);
    let after = read().await;
    assert_eq!((&after["settings"]["branding"], &after["version"]), (&none, &json!(4)));
    // The audit log says what was changed, and keeps no picture.
    let rows =
        server.rows("SELECT details FROM audit_log WHERE action = 'organization.update_settings' ORDER BY id").await;
    assert_eq!(rows.len(), 4);
    let details: Value = serde_json::from_str(rows[0]["details"].as_str().unwrap()).unwrap();
    let told = &details["changed"]["branding"]["after"];
    assert_eq!(told, &json!({"accent_color": "#0b7285", "logo": "image/png, 1 KiB"}));
    for person in [&acme.developer, &acme.viewer] {
        let change = json!({"settings": {"branding": both}});
        person.client.patch(&settings(&acme), change).await.error(403, "FORBIDDEN");
    }
}

async fn what_is_no_colour_or_picture_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let at = settings(&acme);
    for (branding, field) in [
        (json!({"accent_color": "red"}), "settings.branding.accent_color"),
        (json!({"accent_color": "#fff"}), "settings.branding.accent_color"),
        (json!({"accent_color": "#12345g"}), "settings.branding.accent_color"),
        (json!({"accent_color": "#123456;}"}), "settings.branding.accent_color"),
        (json!({"accent_color": 7}), "settings.branding.accent_color"),
        (json!({"logo": picture("svg+xml", b"<svg onload=\"alert(1)\"/>")}), "settings.branding.logo"),
        (json!({"logo": picture("gif", b"GIF89a")}), "settings.branding.logo"),
        (json!({"logo": picture("jpeg", b"\x89PNG\r\n\x1a\nrest")}), "settings.branding.logo"),
        (
            json!({"logo": picture("png", &[b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 65 * 1024]].concat())}),
            "settings.branding.logo",
        ),
        (json!({"logo": "https://evil.example/pixel.png"}), "settings.branding.logo"),
        (json!({"logo": ""}), "settings.branding.logo"),
        (json!(null), "settings.branding"),
    ] {
        acme.owner.client.patch(&at, json!({"settings": {"branding": branding}})).await.invalid(field);
    }
    assert_eq!(acme.owner.client.get(&at).await.ok()["version"], 0);
    assert_eq!(server.count("SELECT count(*) FROM organization_logos").await, 0);
}

async fn they_can_be_set_with_the_organization(server: &Server) {
    let body = json!({"name": "Initech", "admin_email": "ada@initech.example", "admin_password": PASSWORD,
        "settings": {"branding": {"accent_color": "#7a1fa2", "logo": png()}}});
    server.anonymous().post("/api/v1/organizations", body).await.created();
    assert_eq!(server.count("SELECT count(*) FROM organization_logos").await, 1);
}

async fn a_visitor_learns_them_by_the_proved_domain_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let plain: Value = serde_json::from_str(PLAIN).unwrap();
    let branding = json!({"accent_color": "#0b7285", "logo": png()});
    set(&acme, branding.clone()).await;
    // A domain that is claimed and not proved could be anybody's.
    server.execute("UPDATE organization_domains SET status = 'pending', verified_at = NULL").await;
    assert_eq!(shown(server, "acme.example").await, plain);
    prove_domain(server, &acme).await;
    prove_domain(server, &globex).await;
    let found = json!({"organization_name": "Acme", "branding": branding});
    assert_eq!(shown(server, "acme.example").await, found);
    assert_eq!(shown(server, "ACME.example.").await, found);
    // One that has set nothing is as one that there is not, and neither names nor numbers find anything.
    for other in ["globex.example", "nobody.example", "sub.acme.example", "Acme", &acme.id.to_string(), "%", ""] {
        assert_eq!(shown(server, other).await, plain, "{other}");
    }
    server.anonymous().get("/api/v1/auth/branding").await.error(422, "VALIDATION_ERROR");
    let long = format!("/api/v1/auth/branding?organization={}", "a".repeat(256));
    server.anonymous().get(&long).await.invalid("organization");
    // Closed, it shows nothing.
    let deleted = "UPDATE organizations SET deleted_at = created_at WHERE name = 'Acme'";
    server.execute(deleted).await;
    assert_eq!(shown(server, "acme.example").await, plain);
}

async fn whoever_is_invited_sees_them(server: &Server) {
    let acme = server.organization("Acme").await;
    invite(&acme, "ada@new.example", "Viewer").await;
    let path = preview_path(&token(server, "ada@new.example", 1).await);
    let seen = async || server.anonymous().get(&path).await.ok()["invitation"]["branding"].clone();
    assert_eq!(seen().await, json!({"accent_color": null, "logo": null}));
    let branding = json!({"accent_color": "#0b7285", "logo": png()});
    set(&acme, branding.clone()).await;
    assert_eq!(seen().await, branding);
}

async fn pages_of_applications_wear_them(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let request = app.request(&Pkce::new(), &[]);
    let browser = Browser::new(server);
    let plain = browser.open(&request).await;
    assert!(!plain.body.as_str().unwrap().contains("--fill:"), "{}", plain.body);
    set(&acme, json!({"accent_color": "#ffd400", "logo": png()})).await;
    let page = browser.open(&request).await;
    let consent = browser.sign_in(&page, &acme.viewer.email).await;
    for page in [&page, &consent] {
        let html = page.body.as_str().unwrap();
        // Yellow has black text, and is shown darker where it stands on white.
        for worn in
            ["--fill: #ffd400; --on: #000000;", &format!("<header><img alt=\"\" src=\"{}\">Acme</header>", png())]
        {
            assert!(html.contains(worn), "no {worn} in {html}");
        }
        assert!(!html.contains("--river: #ffd400; }\n@media"), "{html}");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("img-src data:;"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    // Whoever is to type the code of a device sees where they stand.
    let device = browser.0.get("/oauth/device").await;
    let html = device.body.as_str().unwrap();
    assert!(html.contains("Connect a device") && html.contains("--fill: #ffd400;"), "{html}");
    let query = form(&[("client_id", app.client_id.as_str()), ("redirect_uri", CALLBACK)]);
    let info = server.anonymous().get(&format!("/api/v1/oauth/app-info?{query}")).await.ok();
    assert_eq!(info["branding"], json!({"accent_color": "#ffd400", "logo": png()}));
}

async fn the_sign_in_on_the_way_to_an_application_wears_them(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let (app, other) = (App::new(server, &acme).await, App::new(server, &globex).await);
    let pkce = Pkce::new();
    // What the page there hands on.
    let look = async |to: &str, query: &str| {
        let said = URL_SAFE_NO_PAD.encode(form(&[("to", to), ("continue", query)]));
        let path = format!("/api/v1/oauth/branding?{}", form(&[("request", &said)]));
        server.anonymous().get(&path).await.ok()
    };
    let plain: Value = serde_json::from_str(PLAIN).unwrap();
    let good = app.request(&pkce, &[]);
    assert_eq!(look("/oauth/authorize", &good).await, plain);
    let branding = json!({"accent_color": "#0b7285", "logo": png()});
    set(&acme, branding.clone()).await;
    let found = json!({"organization_name": "Acme", "branding": branding});
    assert_eq!(look("/oauth/authorize", &good).await, found);
    assert_eq!(look("/oauth/authorize", &app.request(&pkce, &[("prompt", "login")])).await, found);
    // Of a request that was sent beforehand as well.
    let pushed = [
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid read"),
        ("code_challenge", pkce.challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let pushed = app.post("/oauth/par", &pushed).await;
    assert_eq!(pushed.status, 201, "{}", pushed.body);
    let reference = text(&pushed.body, "request_uri");
    let beforehand = form(&[("client_id", app.client_id.as_str()), ("request_uri", reference)]);
    assert_eq!(look("/oauth/authorize", &beforehand).await, found);

    // Nobody else's page looks so: of another application, of a request that would be refused, and of none.
    let elsewhere = ("redirect_uri", "https://evil.example/callback");
    for (to, query) in [
        ("/oauth/authorize", other.request(&pkce, &[])),
        ("/oauth/authorize", app.request(&pkce, &[elsewhere])),
        ("/oauth/authorize", app.request(&pkce, &[("code_challenge", "")])),
        ("/oauth/authorize", app.request(&pkce, &[("client_id", "nobody")])),
        ("/oauth/authorize", form(&[("client_id", app.client_id.as_str())])),
        ("/oauth/authorize", form(&[("client_id", other.client_id.as_str()), ("request_uri", reference)])),
        ("/oauth/device", good),
    ] {
        assert_eq!(look(to, &query).await, plain, "{to} {query}");
    }
    let anonymous = server.anonymous();
    assert_eq!(anonymous.get("/api/v1/oauth/branding?request=nonsense").await.ok(), plain);
    anonymous.get("/api/v1/oauth/branding").await.error(422, "VALIDATION_ERROR");
    let long = format!("/api/v1/oauth/branding?request={}", "a".repeat(32_769));
    anonymous.get(&long).await.invalid("request");
}

async fn they_are_not_to_be_asked_for_without_end(server: &Server) {
    for _ in 0..3 {
        shown(server, "acme.example").await;
    }
    server.anonymous().get("/api/v1/auth/branding?organization=acme.example").await.error(429, "RATE_LIMITED");
    server.anonymous().get("/api/v1/oauth/branding?request=x").await.error(429, "RATE_LIMITED");
}
