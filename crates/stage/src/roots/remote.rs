//! Asks a stage elsewhere what it holds. Anything but a whole, fresh answer is none.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gristmill_proto::artifact as message;
use gristmill_proto::artifact::list_roots_response::{Begin, End, Item};
use gristmill_proto::artifact::root_service_client::RootServiceClient;
use gristmill_rpc::{Channel, Problem};
use gristmill_store::{Holder, RootProvider, Roots};
use gristmill_types::{Clock, Digest, Micros, Project};
use tokio::time::Instant;
use tonic::{Code, Request, Status};

/// How far a stage's clock may be off. Files of a folder are dated by whoever puts them, and a sweep goes by
/// these dates: a stage whose clock is behind by more than the grace would write what looks old at once. A
/// bucket's service refuses requests at the same difference.
const CLOCKS: Micros = 15 * 60 * 1_000_000;

/// How patient an asker is with one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long the answer may take in all, tries included.
    pub deadline: Duration,
    /// How often it is asked for.
    pub tries: u32,
    /// The pause before it is asked for again; doubled every time.
    pub pause: Duration,
    /// Most digests of one answer: what would not fit into memory is refused before.
    pub digests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), tries: 3, pause: Duration::from_millis(500), digests: 10_000_000 }
    }
}

/// A stage in another process.
#[derive(Debug, Clone)]
pub struct RemoteRoots {
    stage: String,
    client: RootServiceClient<Channel>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl RemoteRoots {
    /// Asks `stage` over `channel`, whose caller is a service or an administrator.
    pub fn new(stage: impl Into<String>, channel: Channel, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self { stage: stage.into(), client: RootServiceClient::new(channel), clock, limits }
    }

    async fn ask(&self, project: &Project, until: Instant) -> Result<Roots, Refusal> {
        let asked_at = self.clock.now();
        let asked = message::ListRootsRequest { project: project.to_string(), stage: self.stage.clone() };
        let mut request = Request::new(asked);
        request.set_timeout(until.saturating_duration_since(Instant::now()));
        let mut items = self.client.clone().list_roots(request).await?.into_inner();
        let mut answer = Answer::default();
        while let Some(item) = items.message().await? {
            answer.take(item.item, self.limits.digests)?;
        }
        answer.whole(&self.stage, asked_at, self.clock.now())
    }

    async fn ask_again(&self, project: &Project) -> Result<Roots, String> {
        let until = Instant::now() + self.limits.deadline;
        let mut tried = 1;
        loop {
            let (why, again) = match tokio::time::timeout_at(until, self.ask(project, until)).await {
                Ok(Ok(roots)) => return Ok(roots),
                Ok(Err(Refusal { why, again })) => (why, again),
                Err(_) => return Err(format!("no whole answer within {:?}", self.limits.deadline)),
            };
            if !again || tried >= self.limits.tries {
                return Err(why);
            }
            tracing::warn!(stage = self.stage, tried, why, "a stage did not say what it holds, asking again");
            tokio::time::sleep(self.limits.pause.saturating_mul(1 << (tried - 1).min(8))).await;
            tried += 1;
        }
    }
}

#[async_trait]
impl RootProvider for RemoteRoots {
    fn name(&self) -> &str {
        &self.stage
    }

    async fn roots(&self, project: &Project) -> Result<Roots, String> {
        self.ask_again(project).await
    }
}

/// A stage of which nobody said where it is: never an answer.
#[derive(Debug)]
pub struct Unreached(pub &'static str);

#[async_trait]
impl RootProvider for Unreached {
    fn name(&self) -> &str {
        self.0
    }

    async fn roots(&self, _project: &Project) -> Result<Roots, String> {
        Err(format!("its endpoint is not configured: set `peers.{}`", self.0))
    }
}

/// Why there is no answer, and whether another try can help.
struct Refusal {
    why: String,
    again: bool,
}

impl Refusal {
    fn broken(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: true }
    }

    fn wrong(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: false }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        // Answers with a meaning of their own; whatever else is said, a connection may have broken.
        let last = matches!(
            status.code(),
            Code::InvalidArgument
                | Code::NotFound
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::FailedPrecondition
                | Code::Unimplemented
        );
        Self { why: Problem::from(&status).to_string(), again: !last }
    }
}

/// An answer as far as it has come.
#[derive(Default)]
struct Answer {
    begin: Option<Begin>,
    roots: Roots,
    end: Option<End>,
}

impl Answer {
    fn take(&mut self, item: Option<Item>, most: usize) -> Result<(), Refusal> {
        match (item, &self.begin, &self.end) {
            (Some(Item::Begin(begin)), None, None) => self.begin = Some(begin),
            (Some(Item::Page(page)), Some(_), None) => {
                if self.roots.artifacts.len() + self.roots.pins.len() + page.artifacts.len() + page.pins.len() > most {
                    return Err(Refusal::wrong(format!("it holds more than {most} digests")));
                }
                read(&page.artifacts, &mut self.roots.artifacts)?;
                read(&page.pins, &mut self.roots.pins)?;
            }
            (Some(Item::End(end)), Some(_), None) => self.end = Some(end),
            // An item of a later version may hold digests.
            _ => return Err(Refusal::wrong("its answer is not in an order that this version knows")),
        }
        Ok(())
    }

    /// The roots, if nothing is missing, the stage is the one that was asked, and its clock agrees.
    fn whole(mut self, stage: &str, asked_at: Micros, now: Micros) -> Result<Roots, Refusal> {
        let (Some(begin), Some(end)) = (self.begin, self.end) else {
            return Err(Refusal::broken("its answer ended before it was whole"));
        };
        if (end.artifacts, end.pins) != (self.roots.artifacts.len() as u64, self.roots.pins.len() as u64) {
            return Err(Refusal::broken("its answer has not as many digests as it says"));
        }
        let holder: Holder = begin.holder.parse().map_err(|_| Refusal::wrong("it does not say who it is"))?;
        if holder.stage.as_str() != stage {
            return Err(Refusal::wrong(format!("`{}` answered in its place: correct the endpoint", holder.stage)));
        }
        if begin.as_of < asked_at.saturating_sub(CLOCKS) || begin.as_of > now.saturating_add(CLOCKS) {
            return Err(Refusal::wrong("its clock and ours differ by more than a quarter of an hour: set the clocks"));
        }
        self.roots.holders.push(holder);
        Ok(self.roots)
    }
}

fn read(texts: &[String], into: &mut Vec<Digest>) -> Result<(), Refusal> {
    for text in texts {
        into.push(text.parse().map_err(|_| Refusal::wrong("its answer holds something that is no digest"))?);
    }
    Ok(())
}
