//! `GET /api/v1/storage/buckets` and `GET /api/v1/storage/buckets/{bucket_name}/objects`

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    there_is_one_bucket_with_ones_own_folder;
    objects_are_ones_own_in_the_order_of_their_names;
    a_prefix_stays_inside_ones_own_folder;
    folders_are_told_where_not_all_is_wanted;
    a_long_listing_goes_on_where_it_stopped;
}

const PATH: &str = "/api/v1/storage/buckets";

async fn upload_to(person: &Person, folder: &str, name: &str) -> String {
    let part = Part::bytes(b"a\n1\n".to_vec()).file_name(name.to_owned());
    let form = Form::new().text("path", folder.to_owned()).part("file", part);
    let request = person.client.request(Method::POST, "/api/v1/storage/upload").multipart(form);
    person.client.send(request).await.created()["file_path"].as_str().unwrap().to_owned()
}

async fn there_is_one_bucket_with_ones_own_folder(server: &Server) {
    let acme = server.organization("Acme").await;
    for person in [&acme.owner, &acme.viewer] {
        let folder = format!("organizations/{}/files/{}/", acme.id, person.id);
        let data = person.client.get(PATH).await.ok();
        assert_eq!(data, json!({"buckets": [{"name": "rivergen", "user_folder": folder}]}));
    }
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}

async fn objects_are_ones_own_in_the_order_of_their_names(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut names =
        [acme.developer.upload("b.csv", b"b\n".to_vec()).await, acme.developer.upload("a.csv", b"aa\n".to_vec()).await];
    acme.admin.upload("c.csv", b"c\n".to_vec()).await;
    names.sort();
    let path = format!("{PATH}/rivergen/objects");
    let data = acme.developer.client.get(&path).await.ok();
    let folder = format!("organizations/{}/files/{}/", acme.id, acme.developer.id);
    assert_eq!(
        (&data["bucket"], &data["prefix"], &data["user_folder"]),
        (&json!("rivergen"), &json!(folder), &json!(folder))
    );
    let listed: Vec<_> =
        data["objects"].as_array().unwrap().iter().map(|object| object["name"].as_str().unwrap()).collect();
    assert_eq!(listed, names);
    assert_eq!(data["objects"][0]["size"], 3);
    let etag = data["objects"][0]["etag"].as_str().unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    assert!(data["objects"][0]["last_modified"].is_string());
    server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
    // What is deleted is not there any more.
    acme.developer.client.delete(&format!("/api/v1/storage/objects/{}", names[0])).await.ok();
    let data = acme.developer.client.get(&path).await.ok();
    assert_eq!(data["objects"].as_array().unwrap().len(), 1);
}

async fn a_prefix_stays_inside_ones_own_folder(server: &Server) {
    let acme = server.organization("Acme").await;
    let (own, other) = (acme.developer.id, acme.admin.id);
    let developer = &acme.developer.client;
    for prefix in [
        format!("organizations/{}/files/{other}/", acme.id),
        format!("organizations/{}/files/{own}", acme.id),
        format!("organizations/{}/files/{own}/../{other}/", acme.id),
        format!("organizations/{}/", acme.id + 1),
        "%2F".to_owned(),
        "etc/".to_owned(),
        String::new(),
    ] {
        developer.get(&format!("{PATH}/rivergen/objects?prefix={prefix}")).await.error(403, "FORBIDDEN");
    }
    developer.get(&format!("{PATH}/another/objects")).await.error(403, "FORBIDDEN");
    developer.get(&format!("{PATH}/rivergen/objects?limit=0")).await.invalid("limit");
    developer.get(&format!("{PATH}/rivergen/objects?limit=1001")).await.invalid("limit");
    // A pattern's signs mean themselves.
    let data =
        developer.get(&format!("{PATH}/rivergen/objects?prefix=organizations/{}/files/{own}/%25", acme.id)).await.ok();
    assert_eq!(data["objects"], json!([]));
}

async fn folders_are_told_where_not_all_is_wanted(server: &Server) {
    let acme = server.organization("Acme").await;
    let top = acme.admin.upload("top.csv", b"a\n".to_vec()).await;
    upload_to(&acme.admin, "reports/2026", "deep.csv").await;
    let below = upload_to(&acme.admin, "reports", "below.csv").await;
    let folder = format!("organizations/{}/files/{}/", acme.id, acme.admin.id);
    let data = acme.admin.client.get(&format!("{PATH}/rivergen/objects?recursive=false")).await.ok();
    assert_eq!((data["objects"].as_array().unwrap().len(), &data["objects"][0]["name"]), (1, &json!(top)));
    assert_eq!(data["folders"], json!([format!("{folder}reports/")]));
    let data =
        acme.admin.client.get(&format!("{PATH}/rivergen/objects?recursive=false&prefix={folder}reports/")).await.ok();
    assert_eq!((data["objects"].as_array().unwrap().len(), &data["objects"][0]["name"]), (1, &json!(below)));
    assert_eq!(data["folders"], json!([format!("{folder}reports/2026/")]));
    let data = acme.admin.client.get(&format!("{PATH}/rivergen/objects?prefix={folder}reports/")).await.ok();
    assert_eq!((data["objects"].as_array().unwrap().len(), &data["folders"]), (2, &json!([])));
}

async fn a_long_listing_goes_on_where_it_stopped(server: &Server) {
    let acme = server.organization("Acme").await;
    for index in 0..3 {
        acme.admin.upload(&format!("{index}.csv"), b"x".to_vec()).await;
    }
    let path = format!("{PATH}/rivergen/objects?limit=2");
    let first = acme.admin.client.get(&path).await.ok();
    assert_eq!((first["objects"].as_array().unwrap().len(), &first["is_truncated"]), (2, &json!(true)));
    let next = first["next_start_after"].as_str().unwrap();
    let second = acme.admin.client.get(&format!("{path}&start_after={next}")).await.ok();
    assert_eq!((second["objects"].as_array().unwrap().len(), &second["is_truncated"]), (1, &json!(false)));
    assert!(second["next_start_after"].is_null());
}
