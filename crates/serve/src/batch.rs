//! Which of the texts that wait are computed together, and when: a pure policy, without threads and without a clock.
//!
//! Texts come in the order of their arrival. The oldest decides what is computed next; whatever else waits for the same
//! work goes along, as far as the budget of tokens allows. A batch begins as soon as its budget is used up or its oldest
//! text has waited long enough, and never later. Some texts have low priority: they are computed only when no others
//! wait, and are evicted if the queue is full.

use std::collections::VecDeque;
use std::time::Duration;

/// The limits of batches and of the queue before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPolicy {
    /// Most tokens of a batch. A text that is longer is computed alone.
    pub max_tokens: usize,
    /// How long a text may wait for others to come. With none, a batch is what arrived while the last one was computed.
    pub max_wait: Duration,
    /// Most texts that wait.
    pub max_queue: usize,
}

impl Default for BatchPolicy {
    fn default() -> Self {
        BatchPolicy { max_tokens: 16_384, max_wait: Duration::ZERO, max_queue: 1024 }
    }
}

/// Texts that wait, each for the work `K` that it needs.
#[derive(Debug)]
pub(crate) struct Queue<K, T> {
    policy: BatchPolicy,
    waiting: VecDeque<Waiting<K, T>>,
}

#[derive(Debug)]
struct Waiting<K, T> {
    work: K,
    tokens: usize,
    since: Duration,
    text: T,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<K, T> {
    /// These texts, which need the same work, and how long each has waited.
    Batch(K, Vec<(T, Duration)>),
    /// Nothing for this long, unless more texts arrive.
    Wait(Duration),
    /// Nothing until texts come.
    Empty,
}

impl<K: PartialEq + Clone, T> Queue<K, T> {
    pub(crate) fn new(policy: BatchPolicy) -> Self {
        Queue { policy, waiting: VecDeque::new() }
    }

    /// Texts that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Queues all the texts of a request, each with its token count, or none of them: then they are returned as the
    /// error.
    pub(crate) fn offer(&mut self, now: Duration, work: &K, texts: Vec<(usize, T)>) -> Result<(), Vec<(usize, T)>> {
        // A request larger than the whole queue is accepted when the queue is empty.
        if !self.waiting.is_empty() && self.waiting.len() + texts.len() > self.policy.max_queue {
            return Err(texts);
        }
        let waiting = texts.into_iter().map(|(tokens, text)| Waiting { work: work.clone(), tokens, since: now, text });
        self.waiting.extend(waiting);
        Ok(())
    }

    /// Forgets the texts that nobody waits for anymore.
    pub(crate) fn keep(&mut self, is_wanted: impl Fn(&T) -> bool) {
        self.waiting.retain(|waiting| is_wanted(&waiting.text));
    }

    /// Removes low-priority texts, oldest first, until `count` more texts fit; removes none if they cannot be made to
    /// fit.
    pub(crate) fn evict_low_priority(&mut self, count: usize, is_low_priority: impl Fn(&T) -> bool) -> Vec<T> {
        let missing = (self.waiting.len() + count).saturating_sub(self.policy.max_queue);
        let low_priority = self.waiting.iter().filter(|waiting| is_low_priority(&waiting.text)).count();
        // If every waiting text has low priority, evicting them all empties the queue, and an empty queue accepts a
        // request of any size.
        let most = if low_priority == self.waiting.len() { missing.min(low_priority) } else { missing };
        let mut removed = Vec::new();
        if low_priority >= most {
            let all = std::mem::take(&mut self.waiting);
            for waiting in all {
                match removed.len() < most && is_low_priority(&waiting.text) {
                    true => removed.push(waiting.text),
                    false => self.waiting.push_back(waiting),
                }
            }
        }
        removed
    }

    /// What to do now. With `skips_waiting`, a batch does not wait for more texts to arrive.
    pub(crate) fn next(
        &mut self,
        now: Duration,
        skips_waiting: bool,
        is_low_priority: impl Fn(&T) -> bool,
    ) -> Next<K, T> {
        // Evaluated once per text: a client may half-close meanwhile, and the oldest text would be left out of its own batch.
        let is_low: Vec<bool> = self.waiting.iter().map(|waiting| is_low_priority(&waiting.text)).collect();
        let first = is_low.iter().position(|is_low| !is_low);
        let all_low = first.is_none();
        let Some(oldest) = self.waiting.get(first.unwrap_or(0)) else { return Next::Empty };
        let (work, waited) = (oldest.work.clone(), now.saturating_sub(oldest.since));
        let mut tokens = 0_usize;
        let mut is_full = false;
        let mut chosen = vec![false; self.waiting.len()];
        for ((waiting, chosen), is_low) in self.waiting.iter().zip(&mut chosen).zip(is_low) {
            if waiting.work != work || (is_low && !all_low) {
                continue;
            }
            let with = tokens.saturating_add(waiting.tokens);
            is_full |= with >= self.policy.max_tokens;
            // In order of arrival: shorter texts behind a long one do not overtake it, or it could wait forever.
            if with > self.policy.max_tokens && tokens > 0 {
                break;
            }
            tokens = with;
            *chosen = true;
        }
        if !is_full && !skips_waiting && waited < self.policy.max_wait {
            return Next::Wait(self.policy.max_wait - waited);
        }
        let mut batch = Vec::new();
        let mut rest = VecDeque::with_capacity(self.waiting.len());
        for (waiting, chosen) in self.waiting.drain(..).zip(chosen) {
            match chosen {
                true => batch.push((waiting.text, now.saturating_sub(waiting.since))),
                false => rest.push_back(waiting),
            }
        }
        self.waiting = rest;
        Next::Batch(work, batch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn queue(max_tokens: usize, max_wait: u64, max_queue: usize) -> Queue<char, u32> {
        Queue::new(BatchPolicy { max_tokens, max_wait: ms(max_wait), max_queue })
    }

    fn next<K: PartialEq + Clone, T>(queue: &mut Queue<K, T>, now: Duration, skips_waiting: bool) -> Next<K, T> {
        queue.next(now, skips_waiting, |_| false)
    }

    fn texts(batch: Next<char, u32>) -> (char, Vec<u32>) {
        match batch {
            Next::Batch(work, batch) => (work, batch.into_iter().map(|(text, _)| text).collect()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_waits_where_nobody_has_to() {
        let mut queue = queue(100, 0, 10);
        assert_eq!(next(&mut queue, ms(0), false), Next::Empty);
        queue.offer(ms(0), &'a', vec![(5, 1), (5, 2)]).unwrap();
        assert_eq!(texts(next(&mut queue, ms(0), false)), ('a', vec![1, 2]));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_batch_waits_for_its_budget_or_its_time() {
        let mut queue = queue(10, 20, 10);
        queue.offer(ms(0), &'a', vec![(4, 1)]).unwrap();
        assert_eq!(next(&mut queue, ms(5), false), Next::Wait(ms(15)));
        queue.offer(ms(6), &'a', vec![(6, 2)]).unwrap();
        assert_eq!(next(&mut queue, ms(6), false), Next::Batch('a', vec![(1, ms(6)), (2, ms(0))]));
        queue.offer(ms(7), &'a', vec![(4, 3)]).unwrap();
        assert_eq!(texts(next(&mut queue, ms(27), false)), ('a', vec![3]));
        // At the end nobody is waited for.
        queue.offer(ms(30), &'a', vec![(4, 4)]).unwrap();
        assert_eq!(texts(next(&mut queue, ms(30), true)), ('a', vec![4]));
    }

    #[test]
    fn the_oldest_decides_and_others_of_its_work_go_along() {
        let mut queue = queue(10, 0, 10);
        for (work, tokens, text) in [('a', 4, 1), ('b', 1, 2), ('a', 7, 3), ('a', 1, 4), ('b', 30, 5)] {
            queue.offer(ms(0), &work, vec![(tokens, text)]).unwrap();
        }
        // 4 does not overtake 3, which is older and no longer fits.
        assert_eq!(texts(next(&mut queue, ms(0), false)), ('a', vec![1]));
        assert_eq!(texts(next(&mut queue, ms(0), false)), ('b', vec![2]));
        assert_eq!(texts(next(&mut queue, ms(0), false)), ('a', vec![3, 4]));
        // Longer than any batch: alone.
        assert_eq!(texts(next(&mut queue, ms(0), false)), ('b', vec![5]));
    }

    #[test]
    fn low_priority_texts_come_last_and_are_evicted() {
        let is_low_priority = |text: &u32| *text >= 10;
        let mut queue = queue(100, 0, 4);
        for text in [10, 1, 11, 2] {
            queue.offer(ms(0), &'a', vec![(1, text)]).unwrap();
        }
        // Enough room or none; the oldest go.
        assert!(queue.evict_low_priority(3, is_low_priority).is_empty());
        assert_eq!(queue.evict_low_priority(1, is_low_priority), vec![10]);
        queue.offer(ms(1), &'b', vec![(1, 3)]).unwrap();
        assert_eq!(texts(queue.next(ms(1), false, is_low_priority)), ('a', vec![1, 2]));
        assert_eq!(texts(queue.next(ms(1), false, is_low_priority)), ('b', vec![3]));
        assert_eq!(texts(queue.next(ms(1), false, is_low_priority)), ('a', vec![11]));
        // Where all yield, a request of any size has room.
        queue.offer(ms(2), &'a', vec![(1, 12), (1, 13)]).unwrap();
        assert!(queue.evict_low_priority(2, is_low_priority).is_empty());
        assert_eq!(queue.evict_low_priority(9, is_low_priority), vec![12, 13]);
        assert_eq!(queue.len(), 0);
        // A client may end its input while the batch is chosen.
        queue.offer(ms(3), &'a', vec![(1, 1)]).unwrap();
        let has_been_asked = std::cell::Cell::new(false);
        assert_eq!(texts(queue.next(ms(3), false, |_| has_been_asked.replace(true))), ('a', vec![1]));
    }

    #[test]
    fn a_request_is_taken_whole_or_not_at_all() {
        let mut queue = queue(10, 0, 3);
        queue.offer(ms(0), &'a', vec![(1, 1), (1, 2)]).unwrap();
        assert_eq!(queue.offer(ms(0), &'a', vec![(1, 3), (1, 4)]), Err(vec![(1, 3), (1, 4)]));
        assert_eq!(queue.len(), 2);
        queue.keep(|&text| text != 1);
        queue.offer(ms(0), &'a', vec![(1, 3), (1, 4)]).unwrap();
        assert_eq!(texts(next(&mut queue, ms(0), false)), ('a', vec![2, 3, 4]));
        // A request larger than the queue is not refused forever.
        queue.offer(ms(0), &'a', (0..5).map(|text| (1, text)).collect()).unwrap();
        assert_eq!(queue.len(), 5);
    }

    proptest! {
        #[test]
        fn all_are_answered_within_budget_and_in_order(
            texts in proptest::collection::vec((0_u8..3, 0_usize..20), 0..60), max_tokens in 1_usize..40,
        ) {
            let mut queue = Queue::new(BatchPolicy { max_tokens, max_wait: ms(0), max_queue: 100 });
            for (index, &(work, tokens)) in texts.iter().enumerate() {
                queue.offer(ms(index as u64), &work, vec![(tokens, (index, tokens))]).unwrap();
            }
            let mut seen: Vec<Vec<usize>> = vec![Vec::new(); 3];
            while let Next::Batch(work, batch) = next(&mut queue, ms(1000), false) {
                let sum: usize = batch.iter().map(|((_, tokens), _)| tokens).sum();
                let with_tokens = batch.iter().filter(|((_, tokens), _)| *tokens > 0).count();
                prop_assert!(sum <= max_tokens || with_tokens == 1, "{sum} tokens");
                seen[usize::from(work)].extend(batch.iter().map(|((index, _), _)| *index));
            }
            for (work, seen) in seen.iter().enumerate() {
                let all: Vec<usize> = (0..texts.len()).filter(|&i| usize::from(texts[i].0) == work).collect();
                prop_assert_eq!(seen, &all);
            }
        }
    }
}
