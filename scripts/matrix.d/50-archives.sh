# Archives and compression.

group archives

line "tar" needs:tar=tar VMALLOC_ARENA=192K VMALLOC_SWAP=64M few:"a small heap" <<'END'
under tar --sort=name --mtime=@0 --owner=0 --group=0 -cf headers.tar -C /usr/include linux && sha256sum headers.tar
mkdir to && under tar -xf headers.tar -C to && diff -r /usr/include/linux to/linux && echo same
END

line "tar --listed-incremental" needs:tar=tar VMALLOC_ARENA=192K VMALLOC_SWAP=64M <<'END'
mkdir many
(cd many && seq -f "d%02g" 40 | xargs mkdir && for d in d*; do (cd $d && seq -f "a-file-with-a-long-name-%06g" 400 | xargs touch -d 2024-01-01); done)
under tar --sort=name -czf many.tgz --listed-incremental=state many && under tar -tzf many.tgz | sha256sum
END

line "gzip" needs:gzip=gzip VMALLOC_ARENA=192K few:"static buffers" <<'END'
under gzip -9 -c "$text" | tee >(under gzip -dc | sha256sum) | sha256sum
wait
END

line "bzip2" needs:bzip2=bzip2 VMALLOC_ARENA=3M VMALLOC_SWAP=64M <<'END'
head -30000 "$text" >part
under bzip2 -9 -c part | sha256sum
under bzip2 -k part && under bzip2 -dc part.bz2 | sha256sum
END

line "xz -1" needs:xz=xz-utils <<'END'
under xz -1 -T1 -c "$text" | sha256sum
END

line "xz -9" needs:xz=xz-utils VMALLOC_ARENA=24M VMALLOC_SWAP=1G <<'END'
head -c 400000 "$text" >text
under xz -9 -T1 -c text >text.xz && sha256sum text.xz
under xz -dc text.xz | cmp - text && echo same
END

line "xz -6, 4 threads" needs:xz=xz-utils VMALLOC_ARENA=80M VMALLOC_SWAP=1G <<'END'
head -c 2000000 "$text" >text
under xz -6 -T4 --block-size=512KiB -c text >text.xz && sha256sum text.xz
under xz -T4 -dc text.xz | cmp - text && echo same
END

line "zstd" needs:zstd=zstd VMALLOC_ARENA=8M VMALLOC_SWAP=1G <<'END'
head -c 3000000 "$text" >text
under zstd -q -7 -T2 -c text >text.zst && sha256sum text.zst
under zstd -dc text.zst | cmp - text && echo same
under zstd -q --train -o dictionary -B2000 text 2>/dev/null && sha256sum dictionary
END

line "zip, unzip" needs:zip=zip needs:unzip=unzip VMALLOC_ARENA=512K VMALLOC_SWAP=64M few:"static buffers" <<'END'
cp "$text" text && touch -d 2024-01-01 text
under zip -X -q -9 text.zip text && under unzip -p text.zip | sha256sum && unzip -v text.zip
END

line "rsync" needs:rsync=rsync VMALLOC_ARENA=512K VMALLOC_SWAP=64M <<'END'
mkdir -p many && cd many
for d in $(seq 60); do mkdir "d$d"; (cd "d$d" && seq -f "a-file-with-a-long-name-%06g" 150 | xargs touch -d 2024-01-01); done
cp -r /usr/include/linux . && cd ..
under rsync -a --stats many/ to/ | grep -E 'Number|Total file'
diff -r many to && echo same
cp "$text" many/big && sed 's/9/8/' "$text" >to/big
under rsync -a --checksum --no-whole-file --stats many/ to/ | grep -E 'Literal|Matched'
diff -r many to && echo same
END
