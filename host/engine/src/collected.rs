//! An answer while it is collected, within the memory all answers share.
//!
//! What is collected is held until its client has read it. So clients that read slowly hold memory
//! and no instance, and the memory has a bound.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::budget::{Budget, Share};

/// Bytes of all answers that are collected or wait to be read: as many as the gateway gives to
/// bodies of requests.
pub(crate) const ANSWERS_BYTES: usize = 256 * 1_048_576;
/// Answers up to this size may use all of it.
const SMALL_BYTES: usize = 64 * 1_024;
/// What larger ones leave free, so that those who read large answers slowly keep nobody from the
/// small ones, which are most.
const LEFT_TO_SMALL_BYTES: usize = ANSWERS_BYTES / 4;

/// The beginning of an answer, or all of it.
pub(crate) struct Collected {
    /// A body of one chunk is kept as it is, and copied only when there are more.
    first: Option<Bytes>,
    more: BytesMut,
    share: Share,
}

impl Collected {
    pub(crate) fn new(answers: &Arc<Budget>) -> Self {
        Self { first: None, more: BytesMut::new(), share: answers.share() }
    }

    /// Adds a chunk. Answers whether there is memory for it.
    pub(crate) fn push(&mut self, chunk: Bytes) -> bool {
        if self.first.is_none() && self.more.is_empty() {
            self.first = Some(chunk);
        } else {
            if let Some(first) = self.first.take() {
                self.more.extend_from_slice(&first);
            }
            self.more.extend_from_slice(&chunk);
        }
        let held = self.first.as_ref().map_or(self.more.capacity(), Bytes::len);
        let left_to_others = if held > SMALL_BYTES { LEFT_TO_SMALL_BYTES } else { 0 };
        self.share.resize(held, left_to_others)
    }

    pub(crate) fn len(&self) -> usize {
        self.first.as_ref().map_or(self.more.len(), Bytes::len)
    }

    /// The bytes, which hold their share of the memory until the last of them is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        let Self { first, more, share } = self;
        let bytes = first.unwrap_or_else(|| more.freeze());
        if bytes.is_empty() { bytes } else { Bytes::from_owner(Held { bytes, _share: share }) }
    }
}

struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_its_memory_until_it_was_read() {
        let answers = Budget::new(LEFT_TO_SMALL_BYTES + 200_000);
        let mut one = Collected::new(&answers);
        assert!(one.push(Bytes::from(vec![1; 100_000])));
        let one = one.into_bytes();
        let mut two = Collected::new(&answers);
        assert!(!two.push(Bytes::from(vec![2; 100_001])), "there is no room beside the first");
        drop(two);
        let half_read = one.slice(50_000..);
        drop(one);
        let mut three = Collected::new(&answers);
        assert!(!three.push(Bytes::from(vec![3; 100_001])), "somebody still reads the first");
        drop((half_read, three));
        assert!(Collected::new(&answers).push(Bytes::from(vec![4; 200_000])));
    }

    #[test]
    fn large_answers_leave_room_for_small_ones() {
        let answers = Budget::new(LEFT_TO_SMALL_BYTES);
        assert!(!Collected::new(&answers).push(Bytes::from(vec![0; SMALL_BYTES + 1])));
        assert!(Collected::new(&answers).push(Bytes::from(vec![0; SMALL_BYTES])));
    }

    #[test]
    fn chunks_come_out_as_they_went_in() {
        let answers = Budget::new(ANSWERS_BYTES);
        for chunks in [&["a", "bc", "", "d"][..], &["abcd"], &["", "abcd"]] {
            let mut collected = Collected::new(&answers);
            assert!(chunks.iter().all(|chunk| collected.push(Bytes::from(*chunk))));
            assert_eq!(collected.len(), 4);
            assert_eq!(collected.into_bytes(), "abcd");
        }
    }
}
