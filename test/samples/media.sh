#!/usr/bin/env bash
# Makes the samples that need an encoder, with ffmpeg, out of its own test picture and a tone.
# Other versions of ffmpeg make other bytes: run this only to replace the samples.
set -euo pipefail
cd "$(dirname "$0")"

make() { ffmpeg -hide_banner -loglevel error -y -fflags +bitexact "$@"; }
picture=(-f lavfi -i 'testsrc2=size=320x180:rate=1' -frames:v 1 -flags +bitexact)
video=(-f lavfi -i 'testsrc2=size=160x90:rate=10' -f lavfi -i 'sine=frequency=440' -t 2 -flags +bitexact)
tone=(-f lavfi -i 'sine=frequency=440' -t 2 -flags +bitexact)

make "${picture[@]}" picture.png
make "${picture[@]}" -q:v 5 picture.jpg
make "${picture[@]}" picture.gif
make "${picture[@]}" -c:v libwebp picture.webp
make "${video[@]}" -c:v libx264 -pix_fmt yuv420p -c:a aac -b:a 32k -movflags +faststart video.mp4
make "${video[@]}" -c:v libx264 -pix_fmt yuv420p -c:a aac -b:a 32k video.mov
make "${video[@]}" -c:v libvpx -b:v 100k -c:a libopus -b:a 16k video.webm
make "${tone[@]}" -c:a libmp3lame -b:a 32k tone.mp3
make "${tone[@]}" -ar 8000 tone.wav
make "${tone[@]}" -c:a libvorbis -q:a 0 tone.ogg
make "${tone[@]}" -ar 16000 tone.flac
