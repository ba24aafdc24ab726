#!/bin/sh
# Stands in for test-exec.sh of OpenSSH's regression tests (Debian: openssh-tests): the same names, but the server is a running Berth and not an
# sshd that the scripts start. usage: test-exec.sh FOLDER SCRIPT, with BERTH_PORT, BERTH_USER, BERTH_KEY set. FOLDER must be at the same place, and
# readable and writable, in the workspace (engine "process").
OBJ=$1 SCRIPT=$2
SRC=$(dirname "$SCRIPT")
PORT=$BERTH_PORT USER=$BERTH_USER
SSH=ssh SCP=scp SFTP=sftp SSHAGENT=ssh-agent SSHADD=ssh-add SSHKEYGEN=ssh-keygen SSHKEYSCAN=ssh-keyscan
REAL_SSH=$SSH SFTPSERVER=/usr/lib/openssh/sftp-server EXEEXT=
SSHD=false
NC=$OBJ/netcat
RESULT=0
case $SCRIPT in */rekey.sh) SSH_LOG="-E $OBJ/ssh.log -o LogLevel=DEBUG1" ;; *) SSH_LOG= ;; esac
TEST_REGRESS_LOGFILE=$OBJ/regress.log TEST_SSH_LOGFILE=$OBJ/ssh.log TEST_SSHD_LOGFILE=$OBJ/sshd.log
DATA=$OBJ/data COPY=$OBJ/copy
PIDFILE=$OBJ/pidfile
SSH_REGRESS_TMP=
export OBJ SRC SSH SCP SFTP
unset SSH_AUTH_SOCK
umask 0  # the server is another user

cp "$SRC/netcat" "$NC"
# Scripts that try every cipher, MAC and key exchange ask the client which there are: it names those that Berth offers too. Some read the client's log.
cat >"$OBJ/ssh" <<EOF
#!/bin/sh
case "\$1 \$2" in
"-Q cipher" | "-Q Ciphers") printf '%s\\n' chacha20-poly1305@openssh.com aes128-gcm@openssh.com aes256-gcm@openssh.com aes128-ctr aes256-ctr ;;
"-Q mac" | "-Q MACs") printf '%s\\n' hmac-sha2-256-etm@openssh.com hmac-sha2-512-etm@openssh.com hmac-sha2-256 hmac-sha2-512 ;;
"-Q kex") printf '%s\\n' curve25519-sha256 curve25519-sha256@libssh.org ;;
*) exec /usr/bin/ssh $SSH_LOG "\$@" ;;
esac
EOF
chmod 755 "$OBJ/ssh"
SSH=$OBJ/ssh
cat /usr/bin/ssh >"$DATA"
chmod 0644 "$DATA"
: >"$TEST_REGRESS_LOGFILE" >"$TEST_SSH_LOGFILE" >"$TEST_SSHD_LOGFILE"
cat >"$OBJ/ssh_config" <<EOF
Host *
	Hostname 127.0.0.1
	HostKeyAlias localhost-with-alias
	Port $PORT
	User $USER
	IdentityFile $BERTH_KEY
	IdentitiesOnly yes
	UserKnownHostsFile $OBJ/known_hosts
	StrictHostKeyChecking accept-new
	BatchMode yes
	LogLevel ERROR
EOF
# In sshd's tests this one runs an sshd of its own by ProxyCommand; here both are the same server.
{ cat "$OBJ/ssh_config"; echo "	ProxyCommand $NC 127.0.0.1 $PORT"; } >"$OBJ/ssh_proxy"
: >"$OBJ/sshd_config" >"$OBJ/sshd_proxy"

start_sshd() { :; }
stop_sshd() { :; }
maybe_add_scp_path_to_sshd() { :; }
config_defined() { false; }
make_tmpdir() { SSH_REGRESS_TMP=$(mktemp -d /tmp/openssh-regress-XXXXXX); }
md5() { md5sum | cut -d' ' -f1; }
save_debug_log() { echo "$@" >>"$TEST_REGRESS_LOGFILE"; }
trace() { echo "trace: $*" >>"$TEST_REGRESS_LOGFILE"; }
verbose() { echo "$*"; }
warn() { echo "WARNING: $*"; }
fail() { RESULT=1; echo "FAIL: $*"; }
fatal() { fail "$@"; cleanup; exit 1; }
skip() { echo "SKIPPED: $*"; cleanup; exit 77; }
increase_datafile_size() {  # and to what makes the server exchange new keys, which cannot be less than 1 MiB
	while [ "$(wc -c <"$DATA")" -lt $(($1 * 1024)) ] || [ "$(wc -c <"$DATA")" -lt 3000000 ]; do cat /usr/bin/ssh >>"$DATA"; done
}
jot() { awk "BEGIN { for (i = $2; i < $2 + $1; i++) printf \"%d\\n\", i; exit }"; }
cleanup() { [ -z "$SSH_REGRESS_TMP" ] || rm -rf "$SSH_REGRESS_TMP"; [ -z "$SSH_PID" ] || kill "$SSH_PID" 2>/dev/null; }

# The last part of rekey looks how sshd reads its own configuration.
sed '/^verbose "rekeylimit parsing"/,/^done/d' "$SCRIPT" >"$OBJ/script.sh"
. "$OBJ/script.sh"
cleanup
exit $RESULT
