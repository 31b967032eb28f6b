// Calls system calls by number with -1 for every argument, each in a process of its own, and prints "number errno" lines:
// 0 for success, "killed" when the call did not return. An argument of -1 is no descriptor, no pointer and no process.
//   syscall-probe 64|32 FROM TO     32: through int 0x80, the i386 table (x86-64 only)
//   syscall-probe call NUMBER [ARGUMENT...]

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static long call32(long number) {
#ifdef __x86_64__
  long result;
  __asm__ volatile("push %%rbp; mov $-1, %%ebp; int $0x80; pop %%rbp"
                   : "=a"(result)
                   : "a"(number), "b"(-1L), "c"(-1L), "d"(-1L), "S"(-1L), "D"(-1L)
                   : "memory", "cc", "r8", "r9", "r10", "r11");
  if ((int)result < 0 && (int)result > -4096) {
    errno = -(int)result;
    return -1;
  }
  return (int)result;
#else
  (void)number;
  errno = ENOSYS;
  return -1;
#endif
}

static void probe(int is32, long number) {
  int fds[2];
  if (pipe(fds) != 0) exit(1);
  pid_t child = fork();
  if (child == 0) {
    close(fds[0]);
    setpgid(0, 0);
    errno = 0;
    long result = is32 ? call32(number) : syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
    int code = result == -1 ? errno : 0;
    if (write(fds[1], &code, sizeof code) != sizeof code) _exit(1);
    _exit(0);
  }
  int code = 0, status = 0;
  close(fds[1]);
  struct pollfd answer = {.fd = fds[0], .events = POLLIN};
  ssize_t got = poll(&answer, 1, 300) == 1 ? read(fds[0], &code, sizeof code) : 0;
  close(fds[0]);
  kill(-child, SIGKILL);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  if (got == sizeof code) printf("%ld %d\n", number, code);
  else printf("%ld killed\n", number);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc >= 3 && strcmp(argv[1], "call") == 0) {
    long a[7] = {0};
    for (int i = 2; i < argc && i < 9; i++) a[i - 2] = strtol(argv[i], NULL, 0);
    long result = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    printf("%d\n", result == -1 ? errno : 0);
    return 0;
  }
  if (argc != 4) return 2;
  for (long n = atol(argv[2]); n < atol(argv[3]); n++) probe(strcmp(argv[1], "32") == 0, n);
  return 0;
}
