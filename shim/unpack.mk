# gantry-unpack: the layer extractor. Static, so that it needs nothing after its chroot. Usable alone: make -f unpack.mk
CC ?= cc
UNPACK_BIN ?= ../bin/gantry-unpack
UNPACK_SOURCES := $(wildcard unpack*.c)
UNPACK_CFLAGS := -std=gnu17 -D_GNU_SOURCE -O2 -g0 -Wall -Wextra -Werror -Wshadow -Wconversion -Wno-sign-conversion \
  -fstack-protector-strong -D_FORTIFY_SOURCE=2

all: $(UNPACK_BIN)

$(UNPACK_BIN): $(UNPACK_SOURCES) unpack.h unpack.mk
	@mkdir -p $(@D)
	$(CC) $(UNPACK_CFLAGS) -static -s -o $@ $(UNPACK_SOURCES)

.PHONY: all
