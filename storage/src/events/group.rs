//! What the batches of one transaction have in common: the events that wait for its log rows, and their ids.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use sqlx::AnyConnection;
use uuid::Uuid;

use super::batch::days_of;
use super::duplicates::{DayIds, ids_by_day};
use super::{log, requests, segment};
use crate::blocking;
use crate::catalog::{NewLogRow, insert_log_row, last_commit};
use crate::error::StorageError;
use crate::ids::OrganizationUid;

/// What one transaction gathers before it writes its log rows.
#[derive(Debug, Default)]
pub(super) struct Group {
    log: BTreeMap<OrganizationUid, Vec<RecordBatch>>,
    ids: BTreeMap<OrganizationUid, Arc<DayIds>>,
}

impl Group {
    pub(super) fn add(&mut self, organization: OrganizationUid, rows: RecordBatch) -> Result<(), StorageError> {
        let ids = ids_by_day(&rows)?;
        if !ids.is_empty() {
            let counted = Arc::make_mut(self.ids.entry(organization.clone()).or_default());
            for (day, ids) in ids {
                counted.entry(day).or_default().extend(ids);
            }
        }
        self.log.entry(organization).or_default().push(rows);
        Ok(())
    }

    /// The ids of the organization's events so far, where any has one.
    pub(super) fn ids_of(&self, organization: &OrganizationUid) -> Option<Arc<DayIds>> {
        self.ids.get(organization).cloned()
    }

    /// Writes a log row for each organization; says how many bytes they are.
    pub(super) async fn write(self, db: &mut AnyConnection, now_ms: i64) -> Result<u64, StorageError> {
        let mut logged_bytes = 0;
        for (organization, batches) in self.log {
            let number = last_commit(db, &organization).await?;
            let (payload, days, event_count, id_count) = blocking(move || {
                let events = arrow::compute::concat_batches(&requests::schema(), &batches)?;
                let (days, id_count) = (days_of(&events)?, segment::count_ids(&events)?);
                let event_count = events.num_rows() as u64;
                Ok((log::encode(&[events])?, days, event_count, id_count))
            })
            .await?;
            logged_bytes += payload.len() as u64;
            let row = NewLogRow {
                id: &Uuid::now_v7().to_string(),
                organization: &organization,
                kind: requests::KIND,
                first_day: days.0,
                last_day: days.1,
                event_count,
                id_count,
                commit_number: number,
                created_at: now_ms,
                payload: &payload,
            };
            insert_log_row(db, &row).await?;
        }
        Ok(logged_bytes)
    }
}
