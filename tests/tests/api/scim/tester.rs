//! A foreign client: `scim2-tester` drives the server as a conformance test of the RFCs.

use rivergen_tests::{Server, foreign, on_both_databases};

use super::Provider;

on_both_databases! {
    scim2_tester_finds_nothing;
}

async fn scim2_tester_finds_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let Some(report) = foreign::scim_tester(server.url(), idp.client.token()).await else { return };
    let results = report["results"].as_array().unwrap();
    let of = |status: &str| results.iter().filter(|result| result["status"] == status).collect::<Vec<_>>();
    assert!(of("ERROR").is_empty() && of("CRITICAL").is_empty(), "{:#?}", (of("ERROR"), of("CRITICAL")));
    assert!(of("SKIPPED").is_empty(), "{:#?}", of("SKIPPED"));
    assert!(of("SUCCESS").len() >= 100, "only {} checks", of("SUCCESS").len());
}
