# gantry-unpack: the layer extractor, static so that it needs nothing after its chroot. Included by Makefile, whose CC and
# SYSTEM (musl) it uses; alone (make -f unpack.mk) it is linked against the system's own libc.
UNPACK_SRC := $(wildcard unpack*.c)
UNPACK_WARN := -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -Wconversion -Wno-sign-conversion

all: build/gantry-unpack

build/gantry-unpack: $(UNPACK_SRC) unpack.h unpack.mk
	@mkdir -p $(@D)
	@echo LINK $@; $(CC) $(SYSTEM) -O2 $(UNPACK_WARN) -fstack-protector-strong -static -s -o $@ $(UNPACK_SRC)

# With ASan and UBSan, for the corpus of hostile archives (GANTRY_UNPACK=shim/build/gantry-unpack-asan).
build/gantry-unpack-asan: $(UNPACK_SRC) unpack.h unpack.mk
	@mkdir -p $(@D)
	@echo SANITIZE $@; gcc -O1 -g $(UNPACK_WARN) -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ $(UNPACK_SRC)

sanitize: build/gantry-unpack-asan

.PHONY: all sanitize
