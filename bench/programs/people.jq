# Groups, sorts and rewrites an array of objects: jq -f people.jq FILE
(group_by(.town) | map({town: .[0].town, people: length, oldest: (max_by(.born) | .name)}) | sort_by(-.people, .town)[:20]),
(map(.tags[]) | group_by(.) | map([.[0], length]) | sort | length),
(map(select(.born % 7 == 3) | .name |= ascii_upcase | del(.tags)) | sort_by(.name, .id) | .[-30:]),
(map(.born) | add),
(to_entries | map(.value.id * .key % 1000) | add)
