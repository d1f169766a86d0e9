//! Settings of kind `confluent_cloud`.

use serde::{Deserialize, Serialize};

use super::http::HttpServer;

/// An organization at Confluent Cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConfluentSettings {
    /// The API, with the key of a service account that may read the bill and the inventory.
    pub server: HttpServer,
    /// Days of the bill that one question asks for, 1 to [`Self::DAYS_PER_QUERY_MAX`].
    pub days_per_query: u32,
    /// Where the statements of Flink are listed, region by region, sorted; none: they are not asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flink: Vec<FlinkRegion>,
}

/// A region whose statements of Flink are listed by a server of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FlinkRegion {
    /// As compute pools name it, without case: `aws`.
    pub cloud: String,
    /// As compute pools name it, without case: `eu-west-1`.
    pub region: String,
    /// The server, with a key of that region.
    pub server: HttpServer,
}

impl FlinkRegion {
    /// The address of a region's server.
    #[must_use]
    pub fn url(cloud: &str, region: &str) -> String {
        format!("https://flink.{region}.{cloud}.confluent.cloud")
    }
}

impl ConfluentSettings {
    /// The address of the API.
    pub const URL: &'static str = "https://api.confluent.cloud";
    /// Days of the bill that one question asks for where nothing is configured.
    pub const DAYS_PER_QUERY: u32 = 15;
    /// The API answers for a month at most; the shortest one has so many days.
    pub const DAYS_PER_QUERY_MAX: u32 = 28;
}
