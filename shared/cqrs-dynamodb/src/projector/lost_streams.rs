//! The scan over all streams, and over the views whose stream has no commits.
//!
//! A view can outlive its stream if the events table was restored to an earlier time.

use cqrs::{Projection, StreamId};

use super::{Projector, handler::ProjectionHandler};
use crate::{
    StoreError,
    item::text_of,
    streams::{PAGE, ScanCursor, Segment, StreamFilter, StreamsPage, key_of},
    views,
};

/// A page of views of one projection.
pub(super) struct ViewsPage {
    pub(super) streams: Vec<StreamId>,
    /// The key of the last view, or `None` at the end of the segment.
    pub(super) last: Option<String>,
}

impl Projector {
    /// Reads the next page of streams after `cursor`. With [`StreamFilter::All`], the last page of commits also has the
    /// first page of views, and the pages of the other views follow. They hold the streams without commits.
    ///
    /// A page of commits costs half a read unit per 4 KB, with any filter, and is eventually consistent. The scan may
    /// miss a stream that begins during the scan; the projector handles such a stream. A page of views costs one read
    /// unit per 4 KB, and one per view.
    ///
    /// # Errors
    /// [`StoreError`] of the read; [`StoreError::Bug`] if an item is not a commit, or the cursor names an unknown
    /// projection.
    pub async fn streams(
        &self,
        filter: StreamFilter,
        segment: Segment,
        cursor: Option<&ScanCursor>,
    ) -> Result<StreamsPage, StoreError> {
        let after = match cursor {
            None => None,
            Some(ScanCursor::Commits { stream, version }) => Some(key_of(stream, *version)),
            Some(ScanCursor::Views { projection, after }) => {
                let index = self.handlers.iter().position(|handler| handler.name() == projection);
                let unknown = || StoreError::bug(format!("the scan stopped in unknown views: {projection}"));
                return self.lost_streams(segment, index.ok_or_else(unknown)?, after.as_deref()).await;
            }
        };
        let page = self.events.streams(filter, segment, after).await?;
        if page.next.is_some() || filter != StreamFilter::All {
            return Ok(page);
        }
        Ok(StreamsPage { streams: page.streams, ..self.lost_streams(segment, 0, None).await? })
    }

    /// Reads a page of the views of the projection with this index. Returns the streams without a first commit.
    async fn lost_streams(
        &self,
        segment: Segment,
        index: usize,
        after: Option<&str>,
    ) -> Result<StreamsPage, StoreError> {
        let views_of = |index: usize, after: Option<String>| {
            let handler = self.handlers.get(index)?;
            Some(ScanCursor::Views { projection: handler.name().to_owned(), after })
        };
        let Some(handler) = self.handlers.get(index) else { return Ok(StreamsPage::default()) };
        let ViewsPage { streams, last } = handler.page(segment, after).await?;
        let mut lost = self.events.without_commits(streams).await?;
        // A stream whose views several projections have is returned for the first of them.
        for earlier in self.handlers.iter().take(index).filter(|earlier| earlier.category() == handler.category()) {
            let keys: Vec<&str> = lost.iter().map(StreamId::key).collect();
            let views = earlier.items(&keys).await?;
            lost.retain(|stream| !views.contains_key(stream.key()));
        }
        let next = if last.is_some() { views_of(index, last) } else { views_of(index + 1, None) };
        Ok(StreamsPage { streams: Vec::new(), lost, next })
    }
}

impl<P: Projection> ProjectionHandler<P> {
    /// Reads the keys of the next views of a segment. Strongly consistent.
    pub(super) async fn page(&self, segment: Segment, after: Option<&str>) -> Result<ViewsPage, StoreError> {
        let scan = self
            .views
            .dynamo()
            .client
            .scan()
            .table_name(self.views.table())
            .consistent_read(true)
            .segment(segment.number.into())
            .total_segments(segment.of.into())
            .projection_expression("#key")
            .expression_attribute_names("#key", P::KEY)
            .set_exclusive_start_key(after.map(views::key::<P>))
            .limit(PAGE);
        let page = self.views.dynamo().read(scan).await?;
        let keys = page.items.unwrap_or_default();
        let streams = keys.iter().filter_map(|item| text_of(item, P::KEY));
        let last = page.last_evaluated_key.as_ref().and_then(|key| text_of(key, P::KEY));
        Ok(ViewsPage { streams: streams.map(StreamId::of::<P::Event>).collect(), last: last.map(str::to_owned) })
    }
}
