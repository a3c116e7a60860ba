use rivergen_kernel::ErrorCode;
use serde_json::json;

use crate::harness::House;

on_both_databases!(a_policy_is_its_organizations);

async fn a_policy_is_its_organizations(house: &House) {
    let policy = house.policy(json!({"name": "a", "type": "access_control"})).await;
    let path = format!("/{}", policy["id"]);
    assert_eq!(house.get(&house.owner, &path).await.data(), &policy);
    assert_eq!(house.get(&house.developer, &path).await.data(), &policy);
    assert_eq!(house.get(&house.viewer, &path).await.fault().0, ErrorCode::Forbidden);
    assert_eq!(house.get(&house.stranger, &path).await.fault().0, ErrorCode::NotFound);
    for nothing in ["/999", "/0", "/x", "/99999999999999999999"] {
        assert_eq!(house.get(&house.owner, nothing).await.fault().0, ErrorCode::NotFound, "{nothing}");
    }
    assert_eq!(house.send("GET", None, &path, None).await.fault().0, ErrorCode::Unauthorized);
}
