//! `GET /api/v1/roles/{role_id}/assignments`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, custom, give, workspace};

on_both_databases! {
    it_tells_who_holds_it_and_where;
    an_administrator_of_a_workspace_sees_that_one;
    wrong_roles_and_strangers_are_told_nothing;
    every_page_is_found_whichever_was_read_before;
}

fn holders(data: &Value) -> Vec<(i64, Option<i64>)> {
    let told = |row: &Value| (row["user_id"].as_i64().unwrap(), row["workspace_id"].as_i64());
    data["assignments"].as_array().unwrap().iter().map(told).collect()
}

async fn it_tells_who_holds_it_and_where(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &[]).await;
    let lab = workspace(&acme, "Lab").await;
    let path = format!("{PATH}/{role}/assignments");
    give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    give(&acme.admin, role, json!({"user_id": acme.developer.id, "workspace_id": lab})).await;
    let (viewer, developer) = ((acme.viewer.id, None), (acme.developer.id, Some(lab)));
    let data = acme.developer.client.get(&path).await.ok();
    assert_eq!((holders(&data), &data["total_count"]), (vec![viewer, developer], &json!(2)));
    assert_eq!(data["assignments"][1]["assigned_by"], acme.admin.id);
    let data = acme.admin.client.get(&format!("{path}?workspace_id={lab}")).await.ok();
    assert_eq!((holders(&data), &data["total_count"]), (vec![developer], &json!(1)));
    let data = acme.admin.client.get(&format!("{path}?skip=1&limit=1")).await.ok();
    assert_eq!((holders(&data), &data["total_count"]), (vec![developer], &json!(2)));
    acme.admin.client.get(&format!("{path}?limit=101")).await.invalid("limit");
}

async fn an_administrator_of_a_workspace_sees_that_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = workspace(&acme, "Lab").await;
    let role = acme.roles["Admin"];
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    let path = format!("{PATH}/{role}/assignments");
    acme.viewer.client.get(&path).await.error(403, "FORBIDDEN");
    let data = acme.viewer.client.get(&format!("{path}?workspace_id={lab}")).await.ok();
    // The Owner, who made it, and the Viewer.
    assert_eq!(holders(&data), [(acme.owner.id, Some(lab)), (acme.viewer.id, Some(lab))]);
}

async fn wrong_roles_and_strangers_are_told_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("{PATH}/{}/assignments", acme.roles["Viewer"]);
    acme.viewer.client.get(&path).await.error(403, "FORBIDDEN");
    globex.owner.client.get(&path).await.error(404, "ROLE_NOT_FOUND");
    server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
    let foreign = format!("{path}?workspace_id={}", globex.workspace_id);
    acme.owner.client.get(&foreign).await.error(404, "WORKSPACE_NOT_FOUND");
}

async fn every_page_is_found_whichever_was_read_before(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &[]).await;
    for number in 0..12 {
        let lab = workspace(&acme, &format!("Lab {number}")).await;
        give(&acme.owner, role, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    }
    let path = format!("{PATH}/{role}/assignments");
    let ids = |data: &Value| -> Vec<i64> {
        data["assignments"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    };
    let page = async |skip: usize| {
        let answer = acme.owner.client.get(&format!("{path}?skip={skip}&limit=2")).await.ok();
        (ids(&answer), answer["total_count"].as_u64().unwrap())
    };
    let whole = ids(&acme.owner.client.get(&path).await.ok());
    assert_eq!(whole.len(), 12);
    // From where a page ends, the next one is not far.
    page(5).await;
    let (next, statements) = server.statements(page(6)).await;
    assert_eq!(next, (whole[6..8].to_vec(), 12));
    let from = format!("\"id\" >= {}", whole[6]);
    assert!(statements.iter().any(|sql| sql.contains(&from)), "{from}\n{}", statements.join("\n"));
    for skip in [9, 3, 7, 0, 11, 4, 10, 8, 2, 1] {
        assert_eq!(page(skip).await, (whole[skip..Ord::min(skip + 2, 12)].to_vec(), 12), "{skip}");
    }
    assert_eq!(page(12).await, (Vec::new(), 12));
    // What is known of places goes with the one who goes.
    let gone = whole[4];
    acme.owner.client.delete(&format!("{path}/{gone}")).await.ok();
    let whole: Vec<i64> = whole.into_iter().filter(|id| *id != gone).collect();
    for skip in [6, 5, 9, 3, 0, 10] {
        assert_eq!(page(skip).await, (whole[skip..Ord::min(skip + 2, 11)].to_vec(), 11), "{skip}");
    }
}
