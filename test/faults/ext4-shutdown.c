/* Cuts the power of a mounted ext4 file system: nothing that has not reached the disk by now ever will, the journal's
 * tail included. What xfstests' "godown" does. Source: fs/ext4/ext4.h, EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH.
 * Usage: ext4-shutdown DIRECTORY */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 0x2

int main(int argc, char **argv)
{
	uint32_t flags = EXT4_GOING_FLAGS_NOLOGFLUSH;

	if (argc != 2) {
		fprintf(stderr, "usage: ext4-shutdown DIRECTORY\n");
		return 2;
	}
	int fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &flags) < 0) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
