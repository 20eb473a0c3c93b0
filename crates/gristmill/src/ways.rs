//! Where each stage is: all behind one endpoint, or each behind its own.

use gristmill_rpc::Channel;
use gristmill_types::Secret;

use crate::failure::Failure;

/// A channel per stage. The artifact service is the registry stage's.
#[derive(Debug, Clone)]
pub struct Ways {
    pub ingestion: Channel,
    pub preparation: Channel,
    pub training: Channel,
    pub evaluation: Channel,
    pub registry: Channel,
    pub serving: Channel,
    pub monitoring: Channel,
    pub pipeline: Channel,
}

impl Ways {
    /// Every stage behind one channel.
    pub fn all(channel: Channel) -> Self {
        Self {
            ingestion: channel.clone(),
            preparation: channel.clone(),
            training: channel.clone(),
            evaluation: channel.clone(),
            registry: channel.clone(),
            serving: channel.clone(),
            monitoring: channel.clone(),
            pipeline: channel,
        }
    }

    /// Reads `http://host:port` for all stages, `STAGE=http://host:port,…` for some, or both: one without a
    /// name is for the stages that have none of their own.
    ///
    /// # Errors
    /// An address is none, a stage does not exist or is named twice, or a stage has no endpoint.
    pub fn remote(text: &str, token: Option<&Secret>) -> Result<Self, Failure> {
        let mut named: Vec<(&str, &str)> = Vec::new();
        let mut rest = None;
        for one in text.split(',').map(str::trim) {
            match one.split_once('=').filter(|(stage, _)| !stage.contains(':')) {
                Some((stage, _)) if named.iter().any(|(other, _)| *other == stage) => {
                    return Err(Failure::usage(format!("--endpoint: {stage} is named twice")));
                }
                Some((stage, endpoint)) => named.push((stage, endpoint)),
                None if rest.is_some() => return Err(Failure::usage("--endpoint: two endpoints without a stage")),
                None => rest = Some(one),
            }
        }
        let mut missing = Vec::new();
        let mut way = |stage: &'static str| {
            let own = named.iter().position(|(name, _)| *name == stage).map(|at| named.swap_remove(at).1);
            let endpoint = own.or(rest).unwrap_or_else(|| {
                missing.push(stage);
                // Answered below, before anything is sent there.
                "http://127.0.0.1:0"
            });
            Channel::remote(endpoint, token)
        };
        let ways = Self {
            ingestion: way("ingestion")?,
            preparation: way("preparation")?,
            training: way("training")?,
            evaluation: way("evaluation")?,
            registry: way("registry")?,
            serving: way("serving")?,
            monitoring: way("monitoring")?,
            pipeline: way("pipeline")?,
        };
        if let Some((stage, _)) = named.first() {
            return Err(Failure::usage(format!("--endpoint: there is no stage `{stage}`")));
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(Failure::usage(format!("--endpoint: no endpoint for {missing}; write STAGE=http://HOST:PORT")));
        }
        Ok(ways)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_stage_has_one_endpoint() {
        let wrong = |text: &str| Ways::remote(text, None).unwrap_err().message;
        assert!(Ways::remote("http://127.0.0.1:1", None).is_ok());
        assert!(Ways::remote("127.0.0.1:1,training=http://127.0.0.1:2", None).is_ok());
        assert!(wrong("training=http://127.0.0.1:2").contains("no endpoint for ingestion, preparation, evaluation"));
        assert!(wrong("http://a:1,cooking=http://a:2").contains("no stage `cooking`"));
        assert!(wrong("http://a:1,training=http://a:2,training=http://a:3").contains("twice"));
        assert!(wrong("http://a:1,http://a:2").contains("two endpoints"));
    }
}
