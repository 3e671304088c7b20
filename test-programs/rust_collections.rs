//! Question: do Rust's vectors, strings, maps, channels and threads give the same answers over a heap
//! that pages?
//!
//! usage: rust_collections [entries] [threads]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

fn text(number: u64) -> String {
    format!("text{}-{}", mix(number), "z".repeat((number % 70) as usize))
}

/// Builds two maps and a growing vector, then reads all of it back.
fn work(entries: u64, seed: u64) -> u64 {
    let mut by_number: HashMap<u64, String> = HashMap::new();
    let mut by_text: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut flat: Vec<u64> = Vec::new();
    for i in 0..entries {
        by_number.insert(seed + i, text(seed + i));
        by_text.entry(text(mix(i) % (entries / 4 + 1))).or_default().push(i);
        flat.extend([i, mix(i), seed]);
    }
    let mut sum = flat.iter().fold(0, |sum, &value| mix(sum ^ value));
    for i in 0..entries {
        let found = by_number.get(&(seed + i)).expect("a key that was inserted");
        assert_eq!(*found, text(seed + i), "a value changed");
        sum = mix(sum.wrapping_add(hash(found.as_bytes())));
    }
    for (key, values) in &by_text {
        sum = mix(sum ^ hash(key.as_bytes()) ^ values.iter().sum::<u64>());
    }
    by_number.retain(|key, _| key % 3 == 0);
    flat.sort_unstable();
    flat.dedup();
    sum.wrapping_add(by_number.len() as u64).wrapping_add(flat.len() as u64)
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let entries: u64 = arguments.next().unwrap_or(20_000);
    let threads: u64 = arguments.next().unwrap_or(4);
    let sums = Arc::new(Mutex::new(vec![0; threads as usize]));
    let workers: Vec<_> = (0..threads)
        .map(|i| {
            let sums = Arc::clone(&sums);
            thread::spawn(move || {
                let sum = work(entries, i * 1_000_000);
                sums.lock().expect("no worker panicked")[i as usize] = sum;
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("a worker that ends well");
    }
    // Messages are made by one thread, kept for a while and dropped by another.
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    let producer = thread::spawn(move || {
        for i in 0..entries {
            sender.send(text(i).into_bytes()).expect("a receiver");
        }
    });
    let mut window = VecDeque::new();
    let mut sum = 0;
    for message in receiver {
        window.push_back(message);
        if window.len() > 10_000 {
            sum = mix(sum ^ hash(&window.pop_front().expect("not empty")));
        }
    }
    producer.join().expect("a producer that ends well");
    for message in window {
        sum = mix(sum ^ hash(&message));
    }
    let parts = sums.lock().expect("no worker panicked").iter().fold(sum, |sum, &part| mix(sum ^ part));
    println!("rust_collections {entries} entries, {threads} threads: {parts:016x}");
}
