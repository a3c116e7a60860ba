//! `GET /api/v1/storage/files`

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use rivergen_tests::{Server, on_both_databases};

on_both_databases! {
    ones_own_newest_first;
    a_colleagues_and_anothers_are_not_listed;
    it_filters_by_category;
    pages_are_bounded;
}

const PATH: &str = "/api/v1/storage/files";

async fn ones_own_newest_first(server: &Server) {
    let acme = server.organization("Acme").await;
    let first = acme.developer.upload("first.csv", vec![b'x'; 524_288]).await;
    let second = acme.developer.upload("second.parquet", b"x".to_vec()).await;
    let data = acme.developer.client.get(PATH).await.ok();
    let items = data["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["object_name"], second);
    assert_eq!(items[1]["object_name"], first);
    assert_eq!((items[1]["size_bytes"].as_i64(), items[1]["size_mb"].as_f64()), (Some(524_288), Some(0.5)));
    assert_eq!(items[0]["content_type"], "application/vnd.apache.parquet");
    assert_eq!(items[0]["file_category"], "data_source");
    assert!(items[0]["presigned_url"].is_null());
    assert_eq!(data["pagination"]["total_count"], 2);
    assert_eq!(data["pagination"]["total_items"], 2);
}

async fn a_colleagues_and_anothers_are_not_listed(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    acme.developer.upload("a.csv", b"a\n1\n".to_vec()).await;
    for person in [&acme.owner, &acme.viewer, &globex.owner] {
        let data = person.client.get(PATH).await.ok();
        assert_eq!(data["items"].as_array().unwrap().len(), 0);
        assert_eq!(data["pagination"]["total_count"], 0);
    }
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}

async fn it_filters_by_category(server: &Server) {
    let admin = server.organization("Acme").await.admin;
    for category in ["general", "data_source"] {
        let part = Part::bytes(b"x".to_vec()).file_name("a.csv");
        let form = Form::new().text("file_category", category).part("file", part);
        let request = admin.client.request(Method::POST, "/api/v1/storage/upload").multipart(form);
        admin.client.send(request).await.created();
    }
    let data = admin.client.get(&format!("{PATH}?file_category=general")).await.ok();
    assert_eq!(data["pagination"]["total_items"], 1);
    assert_eq!(data["items"][0]["file_category"], "general");
    admin.client.get(&format!("{PATH}?file_category=secret")).await.invalid("file_category");
}

async fn pages_are_bounded(server: &Server) {
    let admin = server.organization("Acme").await.admin;
    for index in 0..3 {
        admin.upload(&format!("{index}.csv"), b"x".to_vec()).await;
    }
    let data = admin.client.get(&format!("{PATH}?page=2&page_size=2")).await.ok();
    assert_eq!(data["items"].as_array().unwrap().len(), 1);
    let page = &data["pagination"];
    assert_eq!((page["page"].as_i64(), page["page_size"].as_i64()), (Some(2), Some(2)));
    assert_eq!((page["total_items"].as_i64(), page["total_pages"].as_i64()), (Some(3), Some(2)));
    assert_eq!((page["has_next"].as_bool(), page["has_previous"].as_bool()), (Some(false), Some(true)));
    admin.client.get(&format!("{PATH}?page=0")).await.invalid("page");
    admin.client.get(&format!("{PATH}?page_size=101")).await.invalid("page_size");
}
