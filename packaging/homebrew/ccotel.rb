# Builds ccotel from source. `packaging/homebrew/dry_run.rb` evaluates it without Homebrew.
class Ccotel < Formula
  desc "Counts what Claude Code costs and does, by project and team"
  homepage "https://github.com/ccotel/ccotel"
  url "https://github.com/ccotel/ccotel/archive/refs/tags/v0.1.0.tar.gz"
  # The release workflow writes the sum of the release it has made.
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license "MIT"
  head "https://github.com/ccotel/ccotel.git", branch: "main"

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    generate_completions_from_executable(bin/"ccotel", "completions")
    (buildpath/"man").mkpath
    system bin/"ccotel", "man", "--dir", buildpath/"man"
    man1.install Dir["man/*.1"]
  end

  # The agent also starts with the first `claude`; this has it run from login on.
  service do
    run [opt_bin/"ccotel", "agent", "run", "--wait"]
    keep_alive crashed: true
    process_type :background
    error_log_path var/"log/ccotel-agent.log"
  end

  def caveats
    <<~EOS
      To count what you type as `claude`, and the sessions of your editors:
        ccotel setup
      It shows each change before it makes it, and `ccotel uninstall` undoes all of it; run that before
      `brew uninstall ccotel`.
    EOS
  end

  test do
    ENV["CCOTEL_CONFIG_DIR"] = testpath/"config"
    ENV["CCOTEL_DATA_DIR"] = testpath/"data"
    port = free_port
    (testpath/"config/config.toml").write "[agent]\nlisten = [\"127.0.0.1:#{port}\"]\n"

    system bin/"ccotel", "agent", "start"
    begin
      record = <<~JSON
        {"resourceLogs":[{"resource":{"attributes":[]},"scopeLogs":[{
          "scope":{"name":"com.anthropic.claude_code.events"},
          "logRecords":[{"timeUnixNano":"#{Time.now.to_i}000000000",
            "body":{"stringValue":"claude_code.api_request"},
            "attributes":[
              {"key":"event.name","value":{"stringValue":"api_request"}},
              {"key":"event.sequence","value":{"intValue":"0"}},
              {"key":"session.id","value":{"stringValue":"brew-test"}},
              {"key":"request_id","value":{"stringValue":"req_brew"}},
              {"key":"model","value":{"stringValue":"claude-opus-4-8"}},
              {"key":"cost_usd","value":{"doubleValue":0.25}}]}]}]}]}
      JSON
      (testpath/"record.json").write record
      system "curl", "--fail", "--silent", "--header", "content-type: application/json",
             "--data-binary", "@#{testpath}/record.json", "http://127.0.0.1:#{port}/v1/logs"
      assert_match(/"received":1\b/, shell_output("#{bin}/ccotel status --json"))
    ensure
      system bin/"ccotel", "agent", "stop"
    end
  end
end
