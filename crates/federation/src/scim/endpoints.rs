//! The operations of SCIM on users and groups.

use axum::http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::{Answer, Shown},
    document::Projection,
    error::Result,
    group,
    http::{Body, Id, Preconditions, Provisioner, Search},
    list,
    members::Parts,
    representation::{
        CreateFaults, DeleteFaults, ListFaults, ListParameters, PatchFaults, ProjectionParameters, ReadFaults,
        ReplaceFaults, ScimDefinitions, ScimGroup, ScimGroups, ScimPatch, ScimSearch, ScimUser, ScimUsers,
    },
    schema::{GROUPS, USERS},
    user,
};
use crate::Federation;

pub fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .routes(routes!(list_users, create_user))
        .routes(routes!(search_users))
        .routes(routes!(get_user, replace_user, patch_user, delete_user))
        .routes(routes!(list_groups, create_group))
        .routes(routes!(search_groups))
        .routes(routes!(search_everything))
        .routes(routes!(get_group, replace_group, patch_group, delete_group))
}

/// List or search the organization's users
#[utoipa::path(get, path = "/scim/v2/Users", tag = "scim", params(ListParameters),
    responses((status = 200, description = "A page, ordered by id unless another order is asked for", body = ScimUsers, content_type = "application/scim+json"), ListFaults))]
async fn list_users(provisioner: Provisioner, search: Search) -> Result<Answer> {
    list::users(&provisioner, &search).await
}

/// Search users with a request body
#[utoipa::path(post, path = "/scim/v2/Users/.search", tag = "scim", request_body(content = ScimSearch, content_type = "application/scim+json"),
    responses((status = 200, description = "A page", body = ScimUsers, content_type = "application/scim+json"), ListFaults))]
async fn search_users(provisioner: Provisioner, Body(body): Body) -> Result<Answer> {
    list::users(&provisioner, &Search::of_body(&body)?).await
}

/// Provision a user into the organization
#[utoipa::path(post, path = "/scim/v2/Users", tag = "scim", params(ProjectionParameters),
    request_body(content = ScimUser, content_type = "application/scim+json"),
    responses((status = 201, description = "Now a member; someone who was already a member is managed from now on", body = ScimUser, content_type = "application/scim+json"), CreateFaults))]
async fn create_user(provisioner: Provisioner, search: Search, Body(body): Body) -> Result<Answer> {
    let projection = search.projection(&USERS)?;
    let shown = user::create(&provisioner, &body).await?;
    Ok(shown.projected(&USERS, &projection).answer(StatusCode::CREATED))
}

/// Read one user in SCIM form
#[utoipa::path(get, path = "/scim/v2/Users/{user_id}", tag = "scim",
    params(("user_id" = String, Path, description = "The id that SCIM answered"), ProjectionParameters),
    responses(
        (status = 200, description = "The user, with an entity tag", body = ScimUser, content_type = "application/scim+json"),
        (status = 304, description = "If-None-Match names this version"), ReadFaults))]
async fn get_user(
    provisioner: Provisioner,
    Id(id): Id,
    search: Search,
    preconditions: Preconditions,
) -> Result<Answer> {
    let projection = search.projection(&USERS)?;
    let shown = user::get(&provisioner, id, projection.shows("groups")).await?;
    shown.projected(&USERS, &projection).unless_known(&preconditions)
}

/// Replace a user's attributes
#[utoipa::path(put, path = "/scim/v2/Users/{user_id}", tag = "scim",
    params(("user_id" = String, Path, description = "The id that SCIM answered"), ProjectionParameters),
    request_body(content = ScimUser, content_type = "application/scim+json"),
    responses((status = 200, description = "As it is now; anything left out is removed, except active", body = ScimUser, content_type = "application/scim+json"), ReplaceFaults))]
async fn replace_user(
    provisioner: Provisioner,
    Id(id): Id,
    search: Search,
    preconditions: Preconditions,
    Body(body): Body,
) -> Result<Answer> {
    let projection = search.projection(&USERS)?;
    let shown = user::replace(&provisioner, id, &body, &preconditions, projection.shows("groups")).await?;
    Ok(shown.projected(&USERS, &projection).answer(StatusCode::OK))
}

/// Change individual attributes of a user
#[utoipa::path(patch, path = "/scim/v2/Users/{user_id}", tag = "scim",
    params(("user_id" = String, Path, description = "The id that SCIM answered"), ProjectionParameters),
    request_body(content = ScimPatch, content_type = "application/scim+json"),
    responses((status = 200, description = "As it is now; active false ends sessions and tokens immediately", body = ScimUser, content_type = "application/scim+json"), PatchFaults))]
async fn patch_user(
    provisioner: Provisioner,
    Id(id): Id,
    search: Search,
    preconditions: Preconditions,
    Body(body): Body,
) -> Result<Answer> {
    let projection = search.projection(&USERS)?;
    let shown = user::modify(&provisioner, id, &body, &preconditions, projection.shows("groups")).await?;
    Ok(shown.projected(&USERS, &projection).answer(StatusCode::OK))
}

/// Remove a user from the organization
#[utoipa::path(delete, path = "/scim/v2/Users/{user_id}", tag = "scim",
    params(("user_id" = String, Path, description = "The id that SCIM answered")),
    responses((status = 204, description = "Removed; the account and its other organizations stay, and a later create brings the member back"), DeleteFaults))]
async fn delete_user(provisioner: Provisioner, Id(id): Id, preconditions: Preconditions) -> Result<Answer> {
    user::delete(&provisioner, id, &preconditions).await?;
    Ok(Answer::no_content())
}

/// List groups
#[utoipa::path(get, path = "/scim/v2/Groups", tag = "scim", params(ListParameters),
    responses((status = 200, description = "A page; shorter than asked for if its groups have many members, and without members if excludedAttributes names them", body = ScimGroups, content_type = "application/scim+json"), ListFaults))]
async fn list_groups(provisioner: Provisioner, search: Search) -> Result<Answer> {
    list::groups(&provisioner, &search).await
}

/// Search groups with a request body
#[utoipa::path(post, path = "/scim/v2/Groups/.search", tag = "scim", request_body(content = ScimSearch, content_type = "application/scim+json"),
    responses((status = 200, description = "A page", body = ScimGroups, content_type = "application/scim+json"), ListFaults))]
async fn search_groups(provisioner: Provisioner, Body(body): Body) -> Result<Answer> {
    list::groups(&provisioner, &Search::of_body(&body)?).await
}

/// List users and groups together
#[utoipa::path(post, path = "/scim/v2/.search", tag = "scim", request_body(content = ScimSearch, content_type = "application/scim+json"),
    responses((status = 200, description = "A page: users, then groups", body = ScimDefinitions, content_type = "application/scim+json"), ListFaults))]
async fn search_everything(provisioner: Provisioner, Body(body): Body) -> Result<Answer> {
    list::everything(&provisioner, &Search::of_body(&body)?).await
}

/// Create a group
#[utoipa::path(post, path = "/scim/v2/Groups", tag = "scim", params(ProjectionParameters),
    request_body(content = ScimGroup, content_type = "application/scim+json"),
    responses((status = 201, description = "Created; its members get what it is mapped to", body = ScimGroup, content_type = "application/scim+json"), CreateFaults))]
async fn create_group(provisioner: Provisioner, search: Search, Body(body): Body) -> Result<Answer> {
    let projection = search.projection(&GROUPS)?;
    let parts = Parts::of(&projection, &provisioner.base());
    let shown = group::create(&provisioner, &body, parts.as_ref()).await?;
    Ok(shown.projected(&GROUPS, &projection).answer(StatusCode::CREATED))
}

/// Read one group
#[utoipa::path(get, path = "/scim/v2/Groups/{scim_group_id}", tag = "scim",
    params(("scim_group_id" = String, Path, description = "The id that SCIM answered"), ProjectionParameters),
    responses(
        (status = 200, description = "The group, with an entity tag", body = ScimGroup, content_type = "application/scim+json"),
        (status = 304, description = "If-None-Match names this version"), ReadFaults))]
async fn get_group(
    provisioner: Provisioner,
    Id(id): Id,
    search: Search,
    preconditions: Preconditions,
) -> Result<Answer> {
    let projection = search.projection(&GROUPS)?;
    // Who has this version is not sent its members again, so they are not read.
    let parts = Parts::of(&projection, &provisioner.base());
    let wanted = |version| parts.as_ref().filter(|_| !preconditions.is_known(version));
    let shown = group::get(&provisioner, id, wanted).await?;
    shown.projected(&GROUPS, &projection).unless_known(&preconditions)
}

/// A group that was changed, with its members where they are wanted.
async fn shown_group(provisioner: &Provisioner, projection: &Projection, changed: Shown) -> Result<Shown> {
    let shown = match Parts::of(projection, &provisioner.base()) {
        Some(parts) => group::get(provisioner, changed.id, |_| Some(&parts)).await?,
        None => changed,
    };
    Ok(shown.projected(&GROUPS, projection))
}

/// Replace a group's name and members
#[utoipa::path(put, path = "/scim/v2/Groups/{scim_group_id}", tag = "scim",
    params(("scim_group_id" = String, Path, description = "The id that SCIM answered"), ProjectionParameters),
    request_body(content = ScimGroup, content_type = "application/scim+json"),
    responses((status = 200, description = "As it is now", body = ScimGroup, content_type = "application/scim+json"), ReplaceFaults))]
async fn replace_group(
    provisioner: Provisioner,
    Id(id): Id,
    search: Search,
    preconditions: Preconditions,
    Body(body): Body,
) -> Result<Answer> {
    let projection = search.projection(&GROUPS)?;
    let changed = group::replace(&provisioner, id, &body, &preconditions).await?;
    Ok(shown_group(&provisioner, &projection, changed).await?.answer(StatusCode::OK))
}

/// Change a group's name or members
#[utoipa::path(patch, path = "/scim/v2/Groups/{scim_group_id}", tag = "scim",
    params(("scim_group_id" = String, Path, description = "The id that SCIM answered"), ProjectionParameters),
    request_body(content = ScimPatch, content_type = "application/scim+json"),
    responses(
        (status = 200, description = "As it is now, if attributes or excludedAttributes asks for it", body = ScimGroup, content_type = "application/scim+json"),
        (status = 204, description = "Done, with the entity tag"), PatchFaults))]
async fn patch_group(
    provisioner: Provisioner,
    Id(id): Id,
    search: Search,
    preconditions: Preconditions,
    Body(body): Body,
) -> Result<Answer> {
    let projection = search.projection(&GROUPS)?;
    let changed = group::modify(&provisioner, id, &body, &preconditions).await?;
    // Thousands of members are not sent back to whoever added one (RFC 7644, section 3.5.2).
    match search.names_attributes() {
        true => Ok(shown_group(&provisioner, &projection, changed).await?.answer(StatusCode::OK)),
        false => Ok(Answer::changed(changed.version)),
    }
}

/// Delete a group; its members stay
#[utoipa::path(delete, path = "/scim/v2/Groups/{scim_group_id}", tag = "scim",
    params(("scim_group_id" = String, Path, description = "The id that SCIM answered")),
    responses((status = 204, description = "Deleted, with the roles that it gave"), DeleteFaults))]
async fn delete_group(provisioner: Provisioner, Id(id): Id, preconditions: Preconditions) -> Result<Answer> {
    group::delete(&provisioner, id, &preconditions).await?;
    Ok(Answer::no_content())
}
