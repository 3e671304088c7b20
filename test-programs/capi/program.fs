\ What the Forth of forth.c is tested with: recursion, nested loops, an array of many pages, deep stacks.
: square dup * ;
: squares ." squares " 11 1 do i square . loop cr ;
squares
: fib dup 2 < if exit then dup 1 - recurse swap 2 - recurse + ;
: fibs ." fib " 20 0 do i fib . loop cr ;
fibs
: factorial dup 1 > if dup 1 - recurse * then ;
: gcd begin ?dup while tuck mod repeat ;
: some ." 15! " 15 factorial . ." gcd " 1071 462 gcd . cr ;
some

( the sieve of Eratosthenes over 3000 cells, six pages of the dictionary )
3000 constant limit
create sieve limit cells allot
: flag cells sieve + ;
: strike ( n ) dup square limit < if dup square begin dup limit < while 1 over flag ! over + repeat drop then drop ;
: primes 0 limit 2 do i flag @ 0= if 1 + i strike then loop ;
: report ." primes " primes . cr ;
report
: last-primes ." the last " limit begin 1 - dup flag @ 0= until . cr ;
last-primes

\ Both stacks, several pages deep.
: deep dup if dup 1 - recurse + then ;
: fill-stack 0 do i loop ;
: add-stack begin depth 1 > while + repeat ;
: stacks ." deep " 800 deep . ." stack " 2000 fill-stack add-stack . cr ;
stacks

variable total
: table 0 total ! 13 1 do 13 1 do i j * total +! loop loop total @ . ;
: tables ." table " table cr ;
tables
: sign dup 0 < if ." minus " negate else dup 0= if ." zero " else ." plus " then then . ;
-7 sign 0 sign 7 sign cr
: down 10 begin dup 3 = if drop exit then dup . 1 - 0 until ;
down cr
: first-over ( n ) 100 0 do i square over > if i . leave then loop drop ;
50 first-over 2000 first-over cr
' square constant squarer 12 squarer execute . cr
: HALVES 7 2 /MOD . . DUP 0< if ." minus " THEN 1- 1+ . ; ." halves " -5 halves 1 2 .s 2drop cr
