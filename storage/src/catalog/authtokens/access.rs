//! Access: the question that every request asks of its authtoken, answered by one query.

use std::num::NonZeroU32;

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
    /// One query by index, since every request asks this.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn authorize(
        &self,
        token: &str,
        organization: Option<&OrganizationUid>,
    ) -> Result<Option<Access>, StorageError> {
        let digest = Digest::of(token);
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
                return Ok(Some(Access::from_row(row)?));
            }
        }
        Ok(None)
    }

    /// The user of an authtoken; none if it is not valid.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn user_of_authtoken(&self, token: &str) -> Result<Option<User>, StorageError> {
        Ok(self.authorize(token, None).await?.map(|access| access.user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::organizations::tests::{catalog, nobody};
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
