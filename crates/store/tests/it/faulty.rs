//! An object store that does what it is told to do wrong.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use gristmill_store::object_store::path::Path;
use gristmill_store::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// What is asked of an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    Put,
    Begin,
    Piece,
    Complete,
    Get,
    Head,
    List,
    Delete,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Nothing was done. Of a listing, the first object still comes.
    Fails,
    /// It was done, and the answer was lost.
    ReplyLost,
    /// Nothing was done, and the answer is "exists" (HTTP 409).
    Exists,
    /// Nothing was done, and the answer is that a condition failed (HTTP 412).
    Condition,
    /// Half of the bytes come.
    Cut,
    /// One bit is another.
    Flipped,
    /// No answer ever comes.
    Stalls,
    /// It takes a while.
    Slow,
}

/// Which calls go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// None.
    Never,
    /// The call of this number, whatever it asks.
    Call(usize),
    /// The first so many of an operation.
    First(Op, usize),
    /// The first so many of an operation on each object.
    EachFirst(Op, usize),
}

#[derive(Debug)]
struct State {
    when: When,
    harm: Harm,
    calls: usize,
    of: HashMap<(Op, Option<Path>), usize>,
    fired: usize,
    aborted: usize,
}

/// The wrapper. Clones share their plan.
#[derive(Debug, Clone)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    state: Arc<Mutex<State>>,
}

impl Faulty {
    pub fn over(inner: Arc<dyn ObjectStore>) -> Self {
        let state = State { when: When::Never, harm: Harm::Fails, calls: 0, of: HashMap::new(), fired: 0, aborted: 0 };
        Self { inner, state: Arc::new(Mutex::new(state)) }
    }

    /// Begins to count anew.
    pub fn plan(&self, when: When, harm: Harm) {
        let aborted = 0;
        *self.state.lock().unwrap() = State { when, harm, calls: 0, of: HashMap::new(), fired: 0, aborted };
    }

    /// Goes on as if nothing had happened; what was counted stays.
    pub fn heal(&self) {
        self.state.lock().unwrap().when = When::Never;
    }

    /// How many calls went wrong since the plan was made.
    pub fn fired(&self) -> usize {
        self.state.lock().unwrap().fired
    }

    /// How many uploads were aborted.
    pub fn aborted(&self) -> usize {
        self.state.lock().unwrap().aborted
    }

    /// Most calls of one operation on one object.
    pub fn most_calls(&self) -> usize {
        self.state.lock().unwrap().of.iter().filter(|((_, on), _)| on.is_some()).map(|(_, n)| *n).max().unwrap_or(0)
    }

    fn harm(&self, op: Op, on: &Path) -> Option<Harm> {
        let mut state = self.state.lock().unwrap();
        let call = state.calls;
        state.calls += 1;
        let mut count = |on: Option<Path>| {
            let count = state.of.entry((op, on)).or_default();
            *count += 1;
            *count
        };
        let (overall, here) = (count(None), count(Some(on.clone())));
        let fires = match state.when {
            When::Never => false,
            When::Call(at) => call == at,
            When::First(which, n) => op == which && overall <= n,
            When::EachFirst(which, n) => op == which && here <= n,
        };
        state.fired += usize::from(fires);
        fires.then_some(state.harm)
    }

    async fn call<T>(&self, op: Op, on: &Path, work: impl Future<Output = Result<T>>) -> Result<T> {
        let harm = self.harm(op, on);
        harmed(harm, on, work).await
    }
}

async fn harmed<T>(harm: Option<Harm>, on: &Path, work: impl Future<Output = Result<T>>) -> Result<T> {
    let path = on.to_string();
    match harm {
        Some(Harm::Fails) => Err(lost()),
        Some(Harm::ReplyLost) => {
            // A refusal is an answer too.
            drop(work.await);
            Err(lost())
        }
        Some(Harm::Exists) => Err(Error::AlreadyExists { path, source: "409 Conflict".into() }),
        Some(Harm::Condition) => Err(Error::Precondition { path, source: "412 Precondition Failed".into() }),
        Some(Harm::Stalls) => std::future::pending().await,
        Some(Harm::Slow) => {
            tokio::time::sleep(Duration::from_millis(5)).await;
            work.await
        }
        Some(Harm::Cut | Harm::Flipped) | None => work.await,
    }
}

fn lost() -> Error {
    Error::Generic { store: "faulty", source: "connection reset".into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.call(Op::Put, location, self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.call(Op::Begin, location, self.inner.put_multipart_opts(location, opts)).await?;
        Ok(Box::new(FaultyUpload { inner, faulty: self.clone(), location: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let op = if options.head { Op::Head } else { Op::Get };
        let harm = self.harm(op, location);
        let mut result = harmed(harm, location, self.inner.get_opts(location, options)).await?;
        if op == Op::Get && matches!(harm, Some(Harm::Cut | Harm::Flipped)) {
            let GetResultPayload::Stream(stream) = result.payload else { panic!("memory gives streams") };
            let mut bytes = stream.try_collect::<Vec<Bytes>>().await?.concat();
            let middle = bytes.len() / 2;
            match harm {
                Some(Harm::Cut) => bytes.truncate(middle),
                _ => bytes[middle] ^= 1,
            }
            result.payload = GetResultPayload::Stream(futures::stream::iter([Ok(bytes.into())]).boxed());
        }
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.call(Op::Get, location, self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let one = move |location: Result<Path>| {
            let this = this.clone();
            async move {
                let location = location?;
                let work = this.inner.delete_stream(futures::stream::iter([Ok(location.clone())]).boxed());
                this.call(Op::Delete, &location, work.try_collect::<Vec<Path>>()).await?;
                Ok(location)
            }
        };
        locations.then(one).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let on = prefix.cloned().unwrap_or_default();
        match self.harm(Op::List, &on) {
            None => self.inner.list(prefix),
            Some(Harm::Fails) => self.inner.list(prefix).take(1).chain(futures::stream::iter([Err(lost())])).boxed(),
            Some(harm) => {
                let all = self.inner.list(prefix).try_collect::<Vec<ObjectMeta>>();
                let all = async move { harmed(Some(harm), &on, all).await };
                all.map_ok(|all| futures::stream::iter(all.into_iter().map(Ok))).try_flatten_stream().boxed()
            }
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let on = prefix.cloned().unwrap_or_default();
        self.call(Op::List, &on, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    faulty: Faulty,
    location: Path,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let harm = self.faulty.harm(Op::Piece, &self.location);
        let (work, location) = (self.inner.put_part(data), self.location.clone());
        async move { harmed(harm, &location, work).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.faulty.call(Op::Complete, &self.location, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.faulty.state.lock().unwrap().aborted += 1;
        self.inner.abort().await
    }
}
