//! What a finished query cost.

use clickhouse::Row;
use serde::Deserialize;

use super::{AnalyticsError, AnalyticsStore};

/// The time a query took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueryTiming {
    /// Of the processor, summed over threads, in milliseconds.
    pub cpu_millis: f64,
    /// As the clock on the wall has it, summed over threads, in milliseconds.
    pub wall_clock_millis: f64,
}

#[derive(Row, Deserialize)]
struct Logged {
    cpu_micros: u64,
    wall_clock_micros: u64,
}

impl AnalyticsStore {
    /// What the query of that id took, if it has finished and is in the query log by now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn timing(&self, query_id: &str) -> Result<Option<QueryTiming>, AnalyticsError> {
        let logged = self
            .owner
            .query(
                "SELECT ProfileEvents['OSCPUVirtualTimeMicroseconds'] AS cpu_micros, \
                 ProfileEvents['RealTimeMicroseconds'] AS wall_clock_micros \
                 FROM system.query_log WHERE query_id = ? AND type = 'QueryFinish' LIMIT 1",
            )
            .bind(query_id)
            .fetch_optional::<Logged>()
            .await;
        match logged.map_err(AnalyticsError::from) {
            Ok(logged) => Ok(logged.map(QueryTiming::from)),
            // A server makes its log when it first has something to write.
            Err(AnalyticsError::Refused { code: 60, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl From<Logged> for QueryTiming {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a query of 285 years is exact enough"
    )]
    fn from(logged: Logged) -> Self {
        Self {
            cpu_millis: logged.cpu_micros as f64 / 1000.0,
            wall_clock_millis: logged.wall_clock_micros as f64 / 1000.0,
        }
    }
}
