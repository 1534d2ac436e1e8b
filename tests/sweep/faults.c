/* Runs a program and numbers each call by which it, or a child of it, changes what lies below some directories; at one of them
 * it does harm. The program is what it is: its calls are stopped by the kernel (seccomp and ptrace), whoever makes them.
 *
 *   faults LOG FAULT AT DIR[:DIR...] PROGRAM ARGUMENT...
 *
 * LOG gets a line for each call: number, call, path, what it was (bytes, or the new path), what it returned; separated by tabs. What
 * it returned is waited for, which costs a second stop, only of renames, removals and the call that is harmed; else it is `?`.
 * FAULT at the call with the number AT, counted from 1:
 *   none     nothing; AT does not matter
 *   count    nothing, and only renames and removals are numbered: many fewer stops
 *   before   everything is killed before the call
 *   after    everything is killed after it
 *   torn     half of a write is made, then everything is killed; any other call is as `before`
 *   eio      the call fails with EIO, and was not made
 *   lost     the call is made, and EIO is told
 *   eintr    the call fails with EINTR, and was not made
 *   full     from here on the disk is full: half of a write is made, then nothing grows any more
 *   stop     the program stands still until LOG.go is there; LOG.stopped says that it does
 *   instant  everything is killed AT microseconds after the start, wherever it is
 * Ends with the program's code, or with 128 and the signal that ended it; with 125 when it could not do its work.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the registers of a call are known for x86_64 only"
#endif

#define TASKS_MAX 512
#define DIRS_MAX 8

enum fault { NONE, COUNT, BEFORE, AFTER, TORN, EIO_, LOST, EINTR_, FULL, STOP, INSTANT };
static const char *const FAULTS[] = {"none", "count", "before", "after", "torn", "eio", "lost", "eintr", "full", "stop", "instant"};

/* What a call does, and where its path, its descriptor and its length stand among the arguments; -1 where it has none. */
struct call {
  long number;
  const char *name;
  int dirfd, path, fd, length, to_dirfd, to_path;
  int grows; /* it needs room on the disk */
};

static const struct call CALLS[] = {
    {SYS_open, "open", -1, 0, -1, -1, -1, -1, 1},
    {SYS_openat, "open", 0, 1, -1, -1, -1, -1, 1},
    {SYS_creat, "open", -1, 0, -1, -1, -1, -1, 1},
    {SYS_write, "write", -1, -1, 0, 2, -1, -1, 1},
    {SYS_pwrite64, "write", -1, -1, 0, 2, -1, -1, 1},
    {SYS_writev, "writev", -1, -1, 0, -1, -1, -1, 1},
    {SYS_pwritev, "writev", -1, -1, 0, -1, -1, -1, 1},
    {SYS_fsync, "sync", -1, -1, 0, -1, -1, -1, 0},
    {SYS_fdatasync, "sync", -1, -1, 0, -1, -1, -1, 0},
    {SYS_ftruncate, "truncate", -1, -1, 0, -1, -1, -1, 0},
    {SYS_truncate, "truncate", -1, 0, -1, -1, -1, -1, 0},
    {SYS_flock, "lock", -1, -1, 0, -1, -1, -1, 0},
    {SYS_rename, "rename", -1, 0, -1, -1, -1, 1, 0},
    {SYS_renameat, "rename", 0, 1, -1, -1, 2, 3, 0},
    {SYS_renameat2, "rename", 0, 1, -1, -1, 2, 3, 0},
    {SYS_link, "link", -1, 0, -1, -1, -1, 1, 1},
    {SYS_linkat, "link", 0, 1, -1, -1, 2, 3, 1},
    {SYS_symlink, "symlink", -1, 1, -1, -1, -1, -1, 1},
    {SYS_symlinkat, "symlink", 1, 2, -1, -1, -1, -1, 1},
    {SYS_unlink, "unlink", -1, 0, -1, -1, -1, -1, 0},
    {SYS_unlinkat, "unlink", 0, 1, -1, -1, -1, -1, 0},
    {SYS_rmdir, "unlink", -1, 0, -1, -1, -1, -1, 0},
    {SYS_mkdir, "mkdir", -1, 0, -1, -1, -1, -1, 1},
    {SYS_mkdirat, "mkdir", 0, 1, -1, -1, -1, -1, 1},
};
#define CALLS_LEN ((int)(sizeof CALLS / sizeof CALLS[0]))

/* A thread of the program that is in a numbered call. */
struct task {
  pid_t id;
  const struct call *call;
  unsigned long number, detail;
  unsigned long long length; /* as it was before we halved it */
  int is_halved, dies, lies;
  char path[PATH_MAX], to[PATH_MAX];
};

static struct task tasks[TASKS_MAX];
static const char *dirs[DIRS_MAX];
static int dirs_len;
static pid_t program;
static FILE *journal;

static void die(const char *what) {
  fprintf(stderr, "faults: %s: %s\n", what, strerror(errno));
  if (program > 0) kill(program, SIGKILL);
  exit(125);
}

static void on_alarm(int signal) {
  (void)signal;
  kill(-program, SIGKILL);
}

/* Ends the program with its children: they are one process group. */
static void end_all(void) { kill(-program, SIGKILL); }

static struct task *task_of(pid_t id) {
  struct task *empty = NULL;
  for (int at = 0; at < TASKS_MAX; at++) {
    if (tasks[at].id == id) return &tasks[at];
    if (tasks[at].id == 0 && empty == NULL) empty = &tasks[at];
  }
  if (empty == NULL) {
    errno = EMFILE;
    die("too many threads");
  }
  memset(empty, 0, sizeof *empty);
  empty->id = id;
  return empty;
}

/* It puts something in its place, or removes it. */
static int moves(const struct call *call) { return strcmp(call->name, "rename") == 0 || strcmp(call->name, "unlink") == 0; }

/* Lets the kernel stop the calls of the table, and of those that open a file only what may make or empty one. */
static void install_filter(enum fault fault) {
  struct sock_filter filter[8 + 6 * CALLS_LEN];
  int at = 0;
#define ADD(statement) filter[at++] = (struct sock_filter)statement
  ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
  ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
  ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  for (int nth = 0; nth < CALLS_LEN; nth++) {
    long number = CALLS[nth].number;
    if (fault == COUNT && !moves(&CALLS[nth])) continue;
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    if (number == SYS_open || number == SYS_openat) {
      unsigned flags = number == SYS_open ? 1 : 2;
      ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 3));
      ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * flags));
      ADD(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY), 0, 1));
    } else {
      ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1));
    }
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  }
  ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  struct sock_fprog filters = {.len = (unsigned short)at, .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("no new privileges");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filters) != 0) die("seccomp");
}

static unsigned long long argument(const struct user_regs_struct *regs, int at) {
  const unsigned long long all[] = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9};
  return all[at];
}

/* Where a descriptor leads, by what the kernel says of it. */
static int path_of_fd(pid_t id, int fd, char *out) {
  char link[64];
  if (fd == AT_FDCWD) snprintf(link, sizeof link, "/proc/%d/cwd", id);
  else snprintf(link, sizeof link, "/proc/%d/fd/%d", id, fd);
  ssize_t length = readlink(link, out, PATH_MAX - 1);
  if (length < 0) return 0;
  out[length] = 0;
  return 1;
}

static int read_path(pid_t id, unsigned long long from, char *out) {
  for (size_t at = 0; at < PATH_MAX;) {
    /* Not over the end of a page: the next one may not be there. */
    size_t room = 4096 - (from + at) % 4096;
    if (room > PATH_MAX - at) room = PATH_MAX - at;
    struct iovec local = {out + at, room}, remote = {(void *)(from + at), room};
    ssize_t got = process_vm_readv(id, &local, 1, &remote, 1, 0);
    if (got <= 0) return 0;
    if (memchr(out + at, 0, (size_t)got) != NULL) return 1;
    at += (size_t)got;
  }
  return 0;
}

/* The whole path that a call names. */
static int named(pid_t id, const struct user_regs_struct *regs, int dirfd, int path, char *out) {
  char given[PATH_MAX], dir[PATH_MAX];
  if (!read_path(id, argument(regs, path), given)) return 0;
  if (given[0] == '/') {
    snprintf(out, PATH_MAX, "%s", given);
    return 1;
  }
  if (!path_of_fd(id, dirfd < 0 ? AT_FDCWD : (int)argument(regs, dirfd), dir)) return 0;
  return snprintf(out, PATH_MAX, "%s/%s", dir, given) < PATH_MAX;
}

static int is_below(const char *path) {
  for (int at = 0; at < dirs_len; at++) {
    size_t length = strlen(dirs[at]);
    if (strncmp(path, dirs[at], length) == 0 && (path[length] == '/' || path[length] == 0)) return 1;
  }
  return 0;
}

static void note(const struct task *task, const char *returned) {
  fprintf(journal, "%lu\t%s\t%s\t", task->number, task->call->name, task->path);
  if (task->to[0] != 0) fputs(task->to, journal);
  else fprintf(journal, "%lu", task->detail);
  fprintf(journal, "\t%s\n", returned);
}

/* Stands still until somebody says that it may go on. */
static void wait_for_go(const char *log) {
  char path[PATH_MAX + 16];
  snprintf(path, sizeof path, "%s.stopped", log);
  int made = open(path, O_CREAT | O_WRONLY, 0600);
  if (made >= 0) close(made);
  snprintf(path, sizeof path, "%s.go", log);
  while (access(path, F_OK) != 0) usleep(500);
}

/* The call is not made and returns this. */
static void refuse(pid_t id, struct user_regs_struct *regs, int error) {
  regs->orig_rax = (unsigned long long)-1;
  regs->rax = (unsigned long long)-(long long)error;
  if (ptrace(PTRACE_SETREGS, id, 0, regs) != 0 && errno != ESRCH) die("refusing a call");
}

static void halve(struct task *task, struct user_regs_struct *regs) {
  task->length = regs->rdx;
  task->is_halved = 1;
  regs->rdx = task->length / 2;
  if (ptrace(PTRACE_SETREGS, task->id, 0, regs) != 0 && errno != ESRCH) die("halving a write");
}

int main(int count, char **arguments) {
  if (count < 6) {
    fputs("faults LOG FAULT AT DIR[:DIR...] PROGRAM ARGUMENT...\n", stderr);
    return 125;
  }
  const char *log = arguments[1];
  enum fault fault = NONE;
  while (strcmp(FAULTS[fault], arguments[2]) != 0) {
    if (fault++ == INSTANT) {
      fprintf(stderr, "faults: there is no fault %s\n", arguments[2]);
      return 125;
    }
  }
  unsigned long at = strtoul(arguments[3], NULL, 10), numbered = 0;
  for (char *dir = strtok(arguments[4], ":"); dir != NULL && dirs_len < DIRS_MAX; dir = strtok(NULL, ":")) dirs[dirs_len++] = dir;
  journal = fopen(log, "ae");
  if (journal == NULL) die(log);

  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) die("pipe");
  program = fork();
  if (program < 0) die("fork");
  if (program == 0) {
    char byte;
    setpgid(0, 0);
    close(gate[1]);
    if (read(gate[0], &byte, 1) != 1) _exit(125);
    install_filter(fault);
    execvp(arguments[5], arguments + 5);
    _exit(126);
  }
  setpgid(program, program);
  close(gate[0]);
  long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                 PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SEIZE, program, 0, options) != 0) die("ptrace");
  if (fault == INSTANT) {
    signal(SIGALRM, on_alarm);
    struct itimerval when = {{0, 0}, {(time_t)(at / 1000000), (suseconds_t)(at % 1000000) + 1}};
    setitimer(ITIMER_REAL, &when, NULL);
  }
  if (write(gate[1], "", 1) != 1) die("pipe");
  close(gate[1]);

  int code = 125, is_full = 0;
  for (;;) {
    int status;
    pid_t id = waitpid(-1, &status, __WALL);
    if (id < 0 && errno == EINTR) continue;
    if (id < 0) break; /* nobody is left */
    struct task *task = task_of(id);
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (id == program) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      task->id = 0;
      continue;
    }
    int signal = WSTOPSIG(status), event = status >> 16;
    struct user_regs_struct regs;

    if (signal == (SIGTRAP | 0x80)) { /* a numbered call returns */
      if (task->call != NULL && ptrace(PTRACE_GETREGS, id, 0, &regs) == 0) {
        char returned[32];
        long result = (long)regs.rax;
        if (task->is_halved) regs.rdx = task->length;
        if (task->lies) regs.rax = (unsigned long long)-(long long)EIO;
        snprintf(returned, sizeof returned, "%ld", result);
        note(task, returned);
        if (task->dies) end_all();
        else if (task->is_halved || task->lies) ptrace(PTRACE_SETREGS, id, 0, &regs);
      }
      task->call = NULL;
      ptrace(PTRACE_CONT, id, 0, 0);
      continue;
    }
    if (event == PTRACE_EVENT_SECCOMP) {
      const struct call *call = NULL;
      if (ptrace(PTRACE_GETREGS, id, 0, &regs) == 0) {
        for (int nth = 0; nth < CALLS_LEN; nth++)
          if (CALLS[nth].number == (long)regs.orig_rax) call = &CALLS[nth];
      }
      task->to[0] = 0;
      int is_known = call != NULL && (call->path >= 0 ? named(id, &regs, call->dirfd, call->path, task->path)
                                                      : path_of_fd(id, (int)argument(&regs, call->fd), task->path));
      if (is_known && call->to_path >= 0) named(id, &regs, call->to_dirfd, call->to_path, task->to);
      if (!is_known || !(is_below(task->path) || is_below(task->to))) {
        ptrace(PTRACE_CONT, id, 0, 0);
        continue;
      }
      task->call = call;
      task->number = ++numbered;
      task->detail = call->length >= 0 ? argument(&regs, call->length) : 0;
      task->is_halved = task->dies = task->lies = 0;
      int is_it = fault != INSTANT && fault != NONE && fault != COUNT && numbered == at;
      int can_halve = call->length >= 0 && task->detail >= 2;
      if (is_it && fault == TORN && !can_halve) note(task, "killed");
      if (is_it && (fault == BEFORE || (fault == TORN && !can_halve))) {
        if (fault == BEFORE) note(task, "killed");
        end_all();
        continue;
      }
      if (is_it && fault == AFTER) task->dies = 1;
      if (is_it && fault == TORN) task->dies = 1, halve(task, &regs);
      if (is_it && fault == LOST) task->lies = 1;
      if (is_it && fault == EIO_) refuse(id, &regs, EIO);
      if (is_it && fault == EINTR_) refuse(id, &regs, EINTR);
      if (is_it && fault == STOP) wait_for_go(log);
      if (is_full && call->grows) refuse(id, &regs, ENOSPC);
      if (is_it && fault == FULL) {
        is_full = 1;
        if (can_halve) halve(task, &regs);
        else refuse(id, &regs, ENOSPC);
      }
      if (is_it || moves(call)) {
        ptrace(PTRACE_SYSCALL, id, 0, 0);
        continue;
      }
      note(task, "?");
      task->call = NULL;
      ptrace(PTRACE_CONT, id, 0, 0);
      continue;
    }
    if (event == PTRACE_EVENT_STOP) {
      int is_group = signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
      ptrace(is_group ? PTRACE_LISTEN : PTRACE_CONT, id, 0, 0);
      continue;
    }
    ptrace(PTRACE_CONT, id, 0, event != 0 ? 0 : signal);
  }
  fclose(journal);
  return code;
}
