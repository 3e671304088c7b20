# Servers and their clients, on the loopback interface.

group network

line "openssl: digests, keys, ciphers" needs:openssl=openssl VMALLOC_ARENA=256K VMALLOC_SWAP=64M <<'END'
under openssl dgst -sha512 "$text" | sed 's/.*= //'
under openssl enc -aes-256-cbc -pbkdf2 -S 0102030405060708 -k secret -in "$text" | sha256sum
under openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem 2>/dev/null
under openssl req -x509 -new -key key.pem -subj /CN=localhost -days 3650 -out certificate.pem
under openssl dgst -sha256 -sign key.pem -out signature "$text"
under openssl pkey -in key.pem -pubout -out public.pem
under openssl dgst -sha256 -verify public.pem -signature signature "$text"
under openssl speed -seconds 1 -multi 2 sha256 aes-128-gcm rsa2048 >/dev/null 2>&1; echo $?
END

line "openssl s_server, s_client" needs:openssl=openssl VMALLOC_ARENA=512K VMALLOC_SWAP=64M <<'END'
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -subj /CN=localhost -days 3650 -out certificate.pem 2>/dev/null
cp "$text" text
under openssl s_server -accept 127.0.0.1:14433 -key key.pem -cert certificate.pem -WWW -quiet >server.log 2>&1 &
until_works openssl s_client -connect 127.0.0.1:14433 </dev/null
for i in 1 2 3; do
    printf 'GET /text HTTP/1.0\r\n\r\n' | under openssl s_client -quiet -connect 127.0.0.1:14433 2>/dev/null | sed '1,/^\r$/d' | sha256sum
done
END

line "nginx, 4 workers, and curl" needs:/usr/sbin/nginx=nginx-light needs:curl=curl VMALLOC_ARENA=512K VMALLOC_SWAP=64M <<'END'
cat >nginx.conf <<IN
worker_processes 4; pid $PWD/pid; error_log $PWD/errors; daemon off;
events { worker_connections 512; }
http {
    access_log off; sendfile off; output_buffers 64 256k; aio off;
    client_body_temp_path $PWD/body; proxy_temp_path $PWD/proxy; fastcgi_temp_path $PWD/f; uwsgi_temp_path $PWD/u; scgi_temp_path $PWD/s;
    server { listen 127.0.0.1:18080; root $PWD; gzip on; gzip_types *; gzip_buffers 128 64k; gzip_comp_level 6;
        location /again/ { proxy_pass http://127.0.0.1:18081/; proxy_buffers 64 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0; } }
    server { listen 127.0.0.1:18081; root $PWD; }
}
IN
cp "$text" large
head -100 "$text" >small
under /usr/sbin/nginx -e errors -c "$PWD/nginx.conf" -p "$PWD" &
until_works curl -fs http://127.0.0.1:18080/nginx.conf
for i in 1 2; do
    transfers=""
    for path in large again/large; do
        under curl -fs http://127.0.0.1:18080/$path -o plain.$i.${path%%/*} &
        transfers+=" $!"
        under curl -fs --compressed http://127.0.0.1:18080/$path -o packed.$i.${path%%/*} &
        transfers+=" $!"
    done
    wait $transfers
    sha256sum plain.$i.* packed.$i.* | cut -c 1-64
done
curl -sfZ --no-progress-meter $(seq -f "http://127.0.0.1:18080/again/small?%g" 300) | sha256sum
cat errors
END

line "curl, 40 transfers at once" needs:curl=curl VMALLOC_ARENA=256K VMALLOC_SWAP=64M <<'END'
cp "$text" text
python3 -m http.server -b 127.0.0.1 18090 >/dev/null 2>&1 &
until_works curl -fs http://127.0.0.1:18090/
under curl -fsZ --no-progress-meter --parallel-max 40 $(seq -f "http://127.0.0.1:18090/text?%g" 40) | wc -c
under curl -fs -r 1000000-3000000 http://127.0.0.1:18090/text http://127.0.0.1:18090/text | wc -c
END

line "ssh-keygen" needs:ssh-keygen=openssh-client VMALLOC_ARENA=192K VMALLOC_SWAP=64M <<'END'
for type in ed25519 ecdsa rsa; do
    under ssh-keygen -q -t $type -N secret -f key.$type && under ssh-keygen -y -P secret -f key.$type >key.again
    cut -d' ' -f1,2 key.$type.pub | cmp - <(cut -d' ' -f1,2 key.again) && echo $type
done
echo signed >file && under ssh-keygen -Y sign -f key.ed25519 -P secret -n file file 2>/dev/null || true
seq 300 | while read -r i; do echo "host$i $(cut -d' ' -f1,2 key.ed25519.pub)"; done >known
under ssh-keygen -l -f known | cut -d' ' -f1,4 | sha256sum
END
