//! The demo's organization: its user, stacks, key, authtoken and Launch inventory, made once and found again.
//!
//! Secrets are kept as digests, so what opens the demo is remembered in `demo.json` beside the catalog. That file is
//! written last: a start that was cut off finds what it had made and gives it new secrets.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{Days, NaiveTime};
use rand::distr::{Alphanumeric, SampleString as _};
use serde::{Deserialize, Serialize};
use tally_storage::catalog::{Catalog, Email, LaunchKind, LaunchResource, Role};
use tally_storage::ids::{OrganizationUid, UserUid};
use tally_storage::password::Password;
use tally_storage::store::Store;

use super::launch_sites;
use super::load::DAYS;
use crate::whole_file::write_private;

const NAME: &str = "Demo";
const EMAIL: &str = "demo@example.com";
const STACKS: [&str; 3] = ["Website", "Shop", "Mobile app"];
const PASSWORD_LEN: usize = 20;

/// What opens the demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoAccess {
    /// The organization.
    pub organization: OrganizationUid,
    /// An authtoken of its owner.
    pub authtoken: String,
    /// An ingest key.
    pub ingest_key: String,
    /// By which the owner logs in.
    pub email: String,
    /// The owner's password.
    pub password: String,
    /// Where the server answers.
    pub base_url: String,
    /// One of the three stacks.
    pub stack_api_key: String,
}

/// The demo's organization of that store, made if it is not there; and the API keys of its stacks.
///
/// # Errors
/// When the catalog does not answer or `demo.json` cannot be read.
pub(super) async fn find_or_make(store: &Store, base_url: &str) -> anyhow::Result<(DemoAccess, Vec<String>)> {
    let catalog = &store.catalog;
    let mut access = match read(&path(store))? {
        Some(access) if opens(catalog, &access).await? => access,
        _ => make(store).await?,
    };
    base_url.clone_into(&mut access.base_url);
    let stacks = catalog.stacks_of(&access.organization).await?;
    Ok((access, stacks.into_iter().map(|stack| stack.api_key).collect()))
}

/// Remembers what opens the demo, for the next start and for programs that try it.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn remember(store: &Store, access: &DemoAccess) -> anyhow::Result<()> {
    let path = path(store);
    let text = serde_json::to_vec_pretty(access)?;
    write_private(&path, &text).with_context(|| format!("`{}` cannot be written", path.display()))
}

fn path(store: &Store) -> PathBuf {
    store.folder.root().join("demo.json")
}

fn read(path: &Path) -> anyhow::Result<Option<DemoAccess>> {
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("`{}` cannot be read", path.display())),
    }
}

/// Whether all of it still holds: an operator may have revoked or deleted any of it.
async fn opens(catalog: &Catalog, access: &DemoAccess) -> anyhow::Result<bool> {
    let organization = &access.organization;
    let Some(user) = catalog.user_of_authtoken(&access.authtoken).await? else { return Ok(false) };
    let owns = catalog.role_in(&user.uid, organization).await? == Some(Role::Owner);
    let sends = catalog.organization_of_ingest_key(&access.ingest_key).await?.as_ref() == Some(organization);
    Ok(owns && sends && catalog.stack_belongs_to(&access.stack_api_key, organization).await?)
}

async fn make(store: &Store) -> anyhow::Result<DemoAccess> {
    let catalog = &store.catalog;
    let password = Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LEN);
    let (organization, user) = owner(catalog, &Password::new(password.clone())?).await?;
    let mut stacks = catalog.stacks_of(&organization).await?;
    for name in STACKS.iter().skip(stacks.len()) {
        catalog.create_stack(&organization, name).await?;
    }
    stacks = catalog.stacks_of(&organization).await?;
    put_launch_sites(store, &organization).await?;
    Ok(DemoAccess {
        authtoken: catalog.create_authtoken(&user).await?,
        ingest_key: catalog.create_ingest_key(&organization).await?,
        email: EMAIL.to_owned(),
        password,
        base_url: String::new(),
        stack_api_key: stacks.into_iter().next().map(|stack| stack.api_key).unwrap_or_default(),
        organization,
    })
}

/// The organization and its owner, who has that password from now on.
async fn owner(catalog: &Catalog, password: &Password) -> anyhow::Result<(OrganizationUid, UserUid)> {
    let email: Email = EMAIL.parse()?;
    let Some(user) = catalog.user_by_email(&email).await? else {
        let organization = catalog.create_organization(NAME).await?;
        let user = catalog.create_user(&organization, &email, Role::Owner, password).await?;
        return Ok((organization, user));
    };
    catalog.set_password(&user.uid, password).await?;
    let memberships = catalog.organizations_of(&user.uid).await?;
    if let Some(demo) = memberships.into_iter().find(|it| it.name == NAME && it.role == Role::Owner) {
        return Ok((demo.organization, user.uid));
    }
    let organization = catalog.create_organization(NAME).await?;
    catalog.add_member(&organization, &user.uid, Role::Owner).await?;
    Ok((organization, user.uid))
}

/// Says that every site of the made-up Launch events exists, since before the first of them.
async fn put_launch_sites(store: &Store, organization: &OrganizationUid) -> anyhow::Result<()> {
    let first_day = store.clock.today().checked_sub_days(Days::new(u64::from(DAYS)));
    let created_at = first_day.map(|day| day.and_time(NaiveTime::MIN).and_utc());
    for site in launch_sites() {
        let resource = |kind, uid: &str, project: Option<&str>| LaunchResource {
            kind,
            uid: uid.to_owned(),
            name: None,
            project_uid: project.map(str::to_owned),
            created_at,
            deleted_at: None,
        };
        let project = site.project_uid.as_str();
        for resource in [
            resource(LaunchKind::Project, project, None),
            resource(LaunchKind::Environment, &site.environment_uid, Some(project)),
            resource(LaunchKind::Domain, &site.domain, Some(project)),
        ] {
            store.catalog.put_launch_resource(organization, &resource).await?;
        }
    }
    Ok(())
}
