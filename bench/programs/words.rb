# A Ruby program that lives in malloc: strings beyond an object's own 23 bytes, hashes, arrays, sorts and substitutions.
# Prints a checksum of its results, which no allocator may change.
total = 0
(ARGV[0] || 3).to_i.times do |round|
  seed = round + 1
  places = {}
  120_000.times do |index|
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
    word = "a word that is longer than an object, number #{seed >> 13}"
    (places[word] ||= []) << index
  end
  sorted = places.keys.sort_by { |word| [places[word].size, word] }
  text = sorted.map(&:upcase).join("\n")
  parts = text.split("\n").map { |part| part.sub("NUMBER", "no.").reverse }
  total += parts.sum(&:size) + sorted.each_slice(7).sum { |few| places[few.first].last }
  sorted.each_slice(2) { |few| places.delete(few.first) }
  total += places.size
end
puts total
