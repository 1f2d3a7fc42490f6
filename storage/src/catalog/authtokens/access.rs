//! Access: the question that every request asks of its authtoken, answered by one query, or by what that said a moment
//! ago (see `recent.rs`).

use std::num::NonZeroU32;
use std::sync::Arc;

use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use crate::catalog::{Catalog, Role, User, row};
use crate::error::StorageError;
use crate::ids::OrganizationUid;
use crate::secret::Digest;

/// Who sends a request, and what they may do in the organization that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The authtoken's user.
    pub user: User,
    /// Their role in the organization; none if they are no member, or it does not exist, or none was named.
    pub role: Option<Role>,
    /// The organization's own rate limit, if it has one and the user is a member.
    pub requests_per_second: Option<NonZeroU32>,
}

impl Access {
    /// Whether they may ask for the organization's reports.
    #[must_use]
    pub fn may_report(&self) -> bool {
        self.role.is_some_and(Role::may_report)
    }
}

impl FromRow<'_, AnyRow> for Access {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            user: User::from_row(row)?,
            role: row::optional_parsed(row, "role")?,
            requests_per_second: row::optional_limit(row, "requests_per_second")?,
        })
    }
}

impl Catalog {
    /// Who sends the authtoken and what they may do in the organization; none if it is not valid.
    ///
    /// One query by index, since every request asks this. That somebody may ask for reports is remembered for a second.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn authorize(
        &self,
        token: &str,
        organization: Option<&OrganizationUid>,
    ) -> Result<Option<Arc<Access>>, StorageError> {
        let digest = Digest::of(token);
        if let Some(known) = organization.and_then(|organization| self.recent.access(&digest, organization)) {
            return Ok(Some(known));
        }
        let before = self.recent.changes();
        let rows = sqlx::query(
            "select t.digest, u.uid, u.email, u.created_at, m.role, o.requests_per_second from authtokens t \
             join users u on u.uid = t.user_uid \
             left join memberships m on m.organization = $2 and m.user_uid = t.user_uid \
             left join organizations o on o.uid = m.organization \
             where t.digest_start = $1",
        )
        .bind(digest.start())
        .bind(organization.map(OrganizationUid::as_str))
        .fetch_all(&self.reader)
        .await?;
        for row in &rows {
            if digest.matches(row.try_get("digest")?) {
                let access = Arc::new(Access::from_row(row)?);
                if let Some(organization) = organization {
                    self.recent.keep_access(before, digest, organization, &access);
                }
                return Ok(Some(access));
            }
        }
        Ok(None)
    }

    /// The user of an authtoken; none if it is not valid.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn user_of_authtoken(&self, token: &str) -> Result<Option<User>, StorageError> {
        Ok(self.authorize(token, None).await?.map(|access| access.user.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::catalog::MAX_AUTHTOKENS;
    use crate::catalog::organizations::tests::{address, catalog, nobody};
    use crate::catalog::users::tests::user_of;

    #[tokio::test]
    async fn access_tells_user_role_and_limit_of_the_organization_asked_for() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let user = user_of(&catalog, &organization, "ada@example.com", Role::Admin).await;
        let foreign = catalog.create_organization("Foreign").await.unwrap();
        let limit = NonZeroU32::new(50);
        catalog.set_requests_per_second(&organization, limit).await.unwrap();
        catalog.set_requests_per_second(&foreign, limit).await.unwrap();
        let token = catalog.create_authtoken(&user).await.unwrap();

        let access = catalog.authorize(&token, Some(&organization)).await.unwrap().unwrap();
        assert_eq!((&access.user.uid, access.role, access.requests_per_second), (&user, Some(Role::Admin), limit));
        let in_foreign = catalog.authorize(&token, Some(&foreign)).await.unwrap().unwrap();
        let in_none = catalog.authorize(&token, Some(&nobody())).await.unwrap().unwrap();
        assert_eq!((in_foreign.role, in_foreign.requests_per_second), (None, None));
        assert_eq!(in_foreign, in_none);
        assert_eq!(catalog.authorize(&token, None).await.unwrap(), Some(in_none));
    }

    #[tokio::test]
    async fn what_this_process_takes_back_opens_nothing_from_then_on() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let user = user_of(&catalog, &organization, "ada@example.com", Role::Admin).await;
        let token = catalog.create_authtoken(&user).await.unwrap();
        let asked = async || catalog.authorize(&token, Some(&organization)).await.unwrap();
        assert!(asked().await.unwrap().may_report());

        let limit = NonZeroU32::new(50);
        catalog.set_requests_per_second(&organization, limit).await.unwrap();
        assert_eq!(asked().await.unwrap().requests_per_second, limit);
        catalog.change_role(&organization, &user, Role::Member).await.unwrap();
        assert_eq!(asked().await.unwrap().role, Some(Role::Member));
        catalog.change_role(&organization, &user, Role::Owner).await.unwrap();
        assert_eq!(asked().await.unwrap().role, Some(Role::Owner));
        catalog.remove_member(&organization, &user).await.unwrap();
        assert_eq!(asked().await.unwrap().role, None);
        catalog.add_member(&organization, &user, Role::Owner).await.unwrap();
        assert!(asked().await.unwrap().may_report());
        for _ in 0..MAX_AUTHTOKENS {
            catalog.create_authtoken(&user).await.unwrap();
        }
        assert_eq!(asked().await, None);
    }

    #[tokio::test]
    async fn a_deleted_user_or_organization_opens_nothing_from_then_on() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let user = user_of(&catalog, &organization, "ada@example.com", Role::Owner).await;
        let token = catalog.create_authtoken(&user).await.unwrap();
        assert!(catalog.authorize(&token, Some(&organization)).await.unwrap().unwrap().may_report());
        catalog.delete_organization(&organization).await.unwrap();
        assert_eq!(catalog.authorize(&token, Some(&organization)).await.unwrap().unwrap().role, None);
        let other = catalog.create_organization("Other").await.unwrap();
        catalog.add_member(&other, &user, Role::Owner).await.unwrap();
        assert!(catalog.authorize(&token, Some(&other)).await.unwrap().unwrap().may_report());
        catalog.delete_user(&user).await.unwrap();
        assert_eq!(catalog.authorize(&token, Some(&other)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_another_process_grants_holds_at_once_and_what_it_takes_back_after_a_second() {
        let (catalog, clock, scratch) = catalog().await;
        let beside = Catalog::open(&address(&scratch), clock).await.unwrap();
        let organization = catalog.create_organization("Acme").await.unwrap();
        let user = user_of(&catalog, &organization, "ada@example.com", Role::Member).await;
        let token = catalog.create_authtoken(&user).await.unwrap();
        let asked = async || catalog.authorize(&token, Some(&organization)).await.unwrap();
        assert!(!asked().await.unwrap().may_report());
        beside.change_role(&organization, &user, Role::Admin).await.unwrap();
        assert!(asked().await.unwrap().may_report());

        beside.revoke_authtoken(&token).await.unwrap();
        let refused = async {
            while asked().await.is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_authtoken_opens_nothing() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let user = user_of(&catalog, &organization, "ada@example.com", Role::Admin).await;
        let token = catalog.create_authtoken(&user).await.unwrap();
        let key = catalog.create_ingest_key(&organization).await.unwrap();
        let digest = Digest::of(&token);
        for wrong in ["", "tally_token_", &token[..token.len() - 1], &token.to_uppercase(), &key, digest.as_str()] {
            assert_eq!(catalog.authorize(wrong, Some(&organization)).await.unwrap(), None, "{wrong}");
        }
    }
}
