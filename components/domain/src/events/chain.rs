//! The hash chain of an organization's events.
//!
//! Each link hashes all of its fields and the hash of the link before, so that a row cannot be
//! changed, taken out or put in without breaking every link after it. Cutting off the end is
//! seen by comparing the head that [`verify_chain`] reaches with the one the organization keeps.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::Event;

/// Names the encoding, so that a later one cannot be taken for this one.
const ENCODING: &[u8] = b"windlass event 1";

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// What the first link of a chain has before it.
    pub const GENESIS: Self = Self([0; 32]);

    /// The digest of these bytes' hexadecimal form; `None` unless it has 64 lower-case digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

/// Where a chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// The sequence number of the last link; 0 for a chain without links.
    pub sequence: i64,
    /// The hash of the last link; [`Digest::GENESIS`] for a chain without links.
    pub hash: Digest,
}

impl ChainHead {
    /// The end of a chain without links.
    pub const EMPTY: Self = Self { sequence: 0, hash: Digest::GENESIS };
}

/// The first link that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenLink {
    /// The fields of this link are not those that were hashed.
    #[error("the event with sequence {sequence} was changed")]
    Changed {
        /// Its place in the chain.
        sequence: i64,
    },
    /// A link is missing before this one, or this one was put in or belongs elsewhere.
    #[error("the event with sequence {sequence} does not follow the one before it")]
    Misplaced {
        /// Its place in the chain.
        sequence: i64,
    },
}

/// Checks links of one organization, in order, following `start`, and says where they end.
/// Give [`ChainHead::EMPTY`] to check a chain from its beginning.
///
/// # Errors
/// The first broken link.
pub fn verify_chain(start: ChainHead, events: &[Event]) -> Result<ChainHead, BrokenLink> {
    let organization = events.first().map(|event| event.organization_id);
    let mut head = start;
    for event in events {
        let sequence = event.sequence;
        let follows = sequence == head.sequence + 1
            && event.previous_hash == head.hash
            && Some(event.organization_id) == organization;
        if !follows {
            return Err(BrokenLink::Misplaced { sequence });
        }
        if hash(event) != event.hash {
            return Err(BrokenLink::Changed { sequence });
        }
        head = ChainHead { sequence, hash: event.hash };
    }
    Ok(head)
}

/// The hash of a link: every field but the hash itself, each with its length before it, so that
/// no two links have one encoding.
pub(crate) fn hash(event: &Event) -> Digest {
    let mut encoder = Encoder(Sha256::new());
    encoder.bytes(ENCODING);
    encoder.text(&event.id.to_string());
    encoder.text(&event.organization_id.to_string());
    encoder.integer(event.sequence);
    encoder.text(&event.actor_id.to_string());
    encoder.text(&event.actor_email);
    encoder.text(event.resource.as_str());
    encoder.text(&event.resource_id);
    encoder.text(event.action.as_str());
    encoder.bytes(&(event.changes.len() as u64).to_be_bytes());
    for change in &event.changes {
        encoder.text(&change.field);
        encoder.optional(change.before.as_deref());
        encoder.optional(change.after.as_deref());
    }
    encoder.text(&event.request_id);
    encoder.text(&event.client_address);
    encoder.text(&event.user_agent);
    encoder.integer(event.created_at.microseconds());
    encoder.bytes(&event.previous_hash.0);
    Digest(encoder.0.finalize().into())
}

struct Encoder(Sha256);

impl Encoder {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn integer(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            None => self.bytes(&[0]),
            Some(text) => {
                self.bytes(&[1]);
                self.text(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::events::{Action, Change, Resource};
    use crate::ids::{EventId, OrganizationId, UserId};
    use crate::testing::World;
    use crate::time::Timestamp;

    /// The links that three accounts' worth of work leaves behind.
    fn chain() -> Vec<Event> {
        let world = World::default();
        let ada = world.register("ada@example.com");
        let ctx = world.as_user(ada.id);
        for name in ["first", "second"] {
            let new_project =
                crate::projects::NewProject { name: name.to_owned(), ..Default::default() };
            crate::testing::block_on(crate::projects::create(&ctx, new_project)).unwrap();
        }
        world.store.events()
    }

    #[test]
    fn untouched_chain_is_whole_and_names_its_head() {
        let events = chain();
        let head = verify_chain(ChainHead::EMPTY, &events).unwrap();
        assert_eq!(head, ChainHead { sequence: 3, hash: events[2].hash });
        // In two pieces, the second after the first.
        let middle = verify_chain(ChainHead::EMPTY, &events[..1]).unwrap();
        assert_eq!(verify_chain(middle, &events[1..]), Ok(head));
        assert_eq!(verify_chain(ChainHead::EMPTY, &[]), Ok(ChainHead::EMPTY));
    }

    #[test]
    fn every_changed_field_breaks_the_chain() {
        let check = |what: &str, change: fn(&mut Event)| {
            let mut events = chain();
            change(&mut events[1]);
            let broken = verify_chain(ChainHead::EMPTY, &events);
            assert_eq!(broken, Err(BrokenLink::Changed { sequence: 2 }), "{what}");
        };
        check("id", |event| event.id = EventId::from_u128(99));
        check("actor", |event| event.actor_id = UserId::from_u128(99));
        check("email", |event| event.actor_email.push('x'));
        check("resource", |event| event.resource = Resource::Service);
        check("resource id", |event| event.resource_id.push('x'));
        check("action", |event| event.action = Action::Delete);
        check("no changes", |event| event.changes.clear());
        check("before", |event| event.changes[0].before = Some(String::new()));
        check("after", |event| event.changes[0].after = None);
        check("field", |event| event.changes[0].field.push('x'));
        check("more changes", |event| {
            event.changes.push(Change { field: String::new(), before: None, after: None });
        });
        check("request", |event| event.request_id.clear());
        check("client", |event| event.client_address.clear());
        check("agent", |event| event.user_agent.clear());
        check("text moved to its neighbour", |event| {
            let moved = std::mem::take(&mut event.user_agent);
            event.client_address.push_str(&moved);
        });
        check("time", |event| event.created_at = Timestamp::from_seconds(0));
        check("hash", |event| event.hash = Digest::GENESIS);
    }

    #[test]
    fn links_taken_out_put_in_or_moved_break_the_chain() {
        let check = |what: &str, sequence: i64, change: fn(&mut Vec<Event>)| {
            let mut events = chain();
            change(&mut events);
            let broken = verify_chain(ChainHead::EMPTY, &events);
            assert_eq!(broken, Err(BrokenLink::Misplaced { sequence }), "{what}");
        };
        check("first taken out", 2, |events| drop(events.remove(0)));
        check("middle taken out", 3, |events| drop(events.remove(1)));
        check("twice", 2, |events| events.insert(1, events[1].clone()));
        check("swapped", 3, |events| events.swap(1, 2));
        check("renumbered", 7, |events| events[1].sequence = 7);
        check("other organization", 2, |events| {
            events[1].organization_id = OrganizationId::from_u128(99);
        });
        check("forged link with a fitting hash", 3, |events| {
            events[1].actor_email = "eve@example.com".to_owned();
            events[1].hash = hash(&events[1]);
        });
    }

    #[test]
    fn digests_are_read_as_they_are_written() {
        let digest = chain()[0].hash;
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        for refused in
            ["", "00", &"0".repeat(63), &"0".repeat(65), &"G".repeat(64), &"A".repeat(64)]
        {
            assert_eq!(Digest::parse(refused), None, "{refused}");
        }
    }
}
