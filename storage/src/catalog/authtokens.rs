//! Authtokens: what a logged-in user sends with every request.
//!
//! They do not expire; a user has at most [`MAX_AUTHTOKENS`], and a new one over that ends the oldest.

mod access;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

pub use self::access::Access;
use super::{Catalog, row};
use crate::error::StorageError;
use crate::ids::UserUid;
use crate::secret::{self, Digest};

/// How many valid authtokens a user has at most.
pub const MAX_AUTHTOKENS: u32 = 20;

const PREFIX: &str = "tally_token_";

/// Names an authtoken without giving it away; later ones sort after earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AuthtokenId(String);

impl AuthtokenId {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for AuthtokenId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for AuthtokenId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What may be known of an authtoken after it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Authtoken {
    /// Its name.
    pub id: AuthtokenId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl FromRow<'_, AnyRow> for Authtoken {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self { id: AuthtokenId(row.try_get("id")?), created_at: row::time(row, "created_at")? })
    }
}

impl Catalog {
    /// Makes an authtoken, shown this once, and ends the user's oldest beyond [`MAX_AUTHTOKENS`].
    ///
    /// # Errors
    /// When the user does not exist.
    pub async fn create_authtoken(&self, user: &UserUid) -> Result<String, StorageError> {
        let token = secret::mint(PREFIX);
        let digest = Digest::of(&token);
        let mut transaction = self.begin_write().await?;
        // One at a time for each user: two at once would each make room for themselves alone.
        sqlx::query("update users set uid = uid where uid = $1").bind(user.as_str()).execute(&mut *transaction).await?;
        // Room is made before the new one comes, so that it stays even where the clock was set back.
        let ended = sqlx::query(
            "delete from authtokens where user_uid = $1 and id not in \
             (select id from authtokens where user_uid = $1 order by created_at desc, id desc limit $2)",
        )
        .bind(user.as_str())
        .bind(i64::from(MAX_AUTHTOKENS - 1))
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "insert into authtokens (id, user_uid, digest_start, digest, created_at) values ($1, $2, $3, $4, $5)",
        )
        // Made under the user's lock: within one millisecond the order of the ids is the order of the commits.
        .bind(format!("authtoken_{}", Uuid::now_v7()))
        .bind(user.as_str())
        .bind(digest.start())
        .bind(digest.as_str())
        .bind(self.clock.now_ms())
        .execute(&mut *transaction)
        .await
        .map_err(|error| match error.as_database_error() {
            Some(database) if database.is_foreign_key_violation() => StorageError::NoSuchUser(user.clone()),
            _ => error.into(),
        })?;
        transaction.commit().await?;
        if ended.rows_affected() > 0 {
            self.recent.forget();
        }
        Ok(token)
    }

    /// A user's authtokens, the oldest first.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn authtokens_of(&self, user: &UserUid) -> Result<Vec<Authtoken>, StorageError> {
        let text = "select id, created_at from authtokens where user_uid = $1 order by created_at, id";
        Ok(sqlx::query_as(text).bind(user.as_str()).fetch_all(&self.reader).await?)
    }

    /// Ends an authtoken. False if it was not valid.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn revoke_authtoken(&self, token: &str) -> Result<bool, StorageError> {
        let digest = Digest::of(token);
        let found: Vec<(String, String)> = sqlx::query_as("select id, digest from authtokens where digest_start = $1")
            .bind(digest.start())
            .fetch_all(&self.reader)
            .await?;
        match found.into_iter().find(|(_, stored)| digest.matches(stored)) {
            Some((id, _)) => self.revoke_authtoken_by_id(&AuthtokenId(id)).await,
            None => Ok(false),
        }
    }

    /// Ends the authtoken of this name. False if there is none.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn revoke_authtoken_by_id(&self, id: &AuthtokenId) -> Result<bool, StorageError> {
        let done = sqlx::query("delete from authtokens where id = $1").bind(id.as_str()).execute(&self.writer).await?;
        self.recent.forget();
        Ok(done.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use futures::future::try_join_all;

    use super::*;
    use crate::catalog::Role;
    use crate::catalog::organizations::tests::{address, catalog};
    use crate::catalog::users::tests::user_of;
    use crate::ids::OrganizationUid;

    async fn a_user(catalog: &Catalog) -> (OrganizationUid, UserUid) {
        let organization = catalog.create_organization("Acme").await.unwrap();
        let user = user_of(catalog, &organization, "ada@example.com", Role::Admin).await;
        (organization, user)
    }

    #[tokio::test]
    async fn the_twenty_first_authtoken_ends_the_oldest() {
        let (catalog, _clock, _folder) = catalog().await;
        let (organization, user) = a_user(&catalog).await;
        let other = user_of(&catalog, &organization, "bob@example.com", Role::Member).await;
        let others = catalog.create_authtoken(&other).await.unwrap();
        let mut tokens = Vec::new();
        // The clock stands still: all are of the same millisecond.
        for _ in 0..23 {
            tokens.push(catalog.create_authtoken(&user).await.unwrap());
        }
        for (index, token) in tokens.iter().enumerate() {
            assert_eq!(catalog.user_of_authtoken(token).await.unwrap().is_some(), index >= 3, "{index}");
        }
        assert!(catalog.user_of_authtoken(&others).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_new_authtoken_is_valid_even_after_the_clock_was_set_back() {
        let (catalog, clock, _folder) = catalog().await;
        let (_, user) = a_user(&catalog).await;
        for _ in 0..MAX_AUTHTOKENS {
            catalog.create_authtoken(&user).await.unwrap();
        }
        clock.set(clock.now() - TimeDelta::hours(1));
        let token = catalog.create_authtoken(&user).await.unwrap();
        assert!(catalog.user_of_authtoken(&token).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn authtokens_made_at_once_are_exactly_twenty() {
        let (catalog, _clock, scratch) = catalog().await;
        let (_, user) = a_user(&catalog).await;
        let beside = Catalog::open(&address(&scratch), catalog.clock.clone()).await.unwrap();
        let tokens = try_join_all((0..60).map(|index| {
            let catalog = if index % 2 == 0 { &catalog } else { &beside };
            catalog.create_authtoken(&user)
        }))
        .await
        .unwrap();
        let mut valid = 0;
        for token in &tokens {
            valid += u32::from(catalog.user_of_authtoken(token).await.unwrap().is_some());
        }
        assert_eq!(valid, MAX_AUTHTOKENS);
        assert_eq!(catalog.authtokens_of(&user).await.unwrap().len(), 20);
    }

    #[tokio::test]
    async fn a_digest_that_only_starts_alike_opens_nothing() {
        let (catalog, _clock, _folder) = catalog().await;
        let (_, user) = a_user(&catalog).await;
        let token = catalog.create_authtoken(&user).await.unwrap();
        sqlx::query("update authtokens set digest = digest_start || '0'").execute(&catalog.writer).await.unwrap();
        assert_eq!(catalog.user_of_authtoken(&token).await.unwrap(), None);
        assert!(!catalog.revoke_authtoken(&token).await.unwrap());
    }

    #[tokio::test]
    async fn a_revoked_authtoken_ends_alone() {
        let (catalog, _clock, _folder) = catalog().await;
        let (_, user) = a_user(&catalog).await;
        let first = catalog.create_authtoken(&user).await.unwrap();
        let second = catalog.create_authtoken(&user).await.unwrap();
        assert!(catalog.revoke_authtoken(&first).await.unwrap());
        assert!(!catalog.revoke_authtoken(&first).await.unwrap());
        assert!(catalog.user_of_authtoken(&second).await.unwrap().is_some());

        let left = catalog.authtokens_of(&user).await.unwrap();
        assert_eq!(left.len(), 1);
        assert!(catalog.revoke_authtoken_by_id(&left[0].id).await.unwrap());
        assert!(!catalog.revoke_authtoken_by_id(&left[0].id).await.unwrap());
        assert_eq!(catalog.user_of_authtoken(&second).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_authtoken_needs_a_user() {
        let (catalog, _clock, _folder) = catalog().await;
        let stranger = UserUid::mint();
        let error = catalog.create_authtoken(&stranger).await.unwrap_err();
        assert!(matches!(error, StorageError::NoSuchUser(uid) if uid == stranger));
    }
}
