# Pictures, sound and films: large blocks, read and written in rows.

group media

line "ImageMagick" needs:convert-im6.q16=imagemagick VMALLOC_ARENA=8M VMALLOC_SWAP=512M <<'END'
export MAGICK_THREAD_LIMIT=2 MAGICK_MEMORY_LIMIT=2GiB MAGICK_MAP_LIMIT=2GiB
under convert-im6.q16 -seed 1 -size 1200x900 plasma:red-blue -depth 8 picture.ppm
under convert-im6.q16 picture.ppm -resize 70% -rotate 30 -blur 0x2 -depth 8 ppm:- | sha256sum
under convert-im6.q16 picture.ppm -quality 90 picture.jpg && sha256sum <picture.jpg
under convert-im6.q16 picture.ppm -define png:exclude-chunks=date,time +set date:create +set date:modify picture.png
under convert-im6.q16 picture.png -colorspace Lab -colorspace sRGB -depth 8 ppm:- | sha256sum
under compare-im6.q16 -metric RMSE picture.ppm picture.png null: 2>&1
END

line "ffmpeg" needs:/usr/bin/ffmpeg=ffmpeg VMALLOC_ARENA=8M VMALLOC_SWAP=512M <<'END'
ff() { under /usr/bin/ffmpeg -nostdin -v error -threads 2 -flags +bitexact "$@"; }
ff -f lavfi -i testsrc2=s=320x240:r=25:d=4 -f lavfi -i sine=440:d=4 -c:v mpeg4 -q:v 4 -c:a pcm_s16le -fflags +bitexact film.avi && sha256sum film.avi
ff -i film.avi -f framemd5 - | sha256sum
ff -i film.avi -vf "scale=200:150,hflip,boxblur=2" -c:v libx264 -preset fast -x264-params threads=2 -c:a flac -fflags +bitexact film.mkv
ff -i film.mkv -f framemd5 - | sha256sum
ff -i film.avi -af "atempo=1.5,lowpass=800" -f wav -fflags +bitexact - | sha256sum
END
